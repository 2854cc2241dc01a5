/**
 * What we send: camera, microphone and screen of `LocalMedia` on the lines of one peer connection.
 *
 * Camera and microphone have a line each for the whole leg; muting exchanges their tracks
 * and needs no negotiation. A shared screen gets new lines, and gives them up at its end.
 * Ids in our metadata are read from our own description: those are what the focus sees.
 */
import { activity, ALL, ceilings, nameOf, type Demand } from "../core/demand";
import type { OwnStream } from "../core/metadata";
import { sections } from "../core/sdp";
import type { TrackInfo } from "../core/vocabulary";
import { CAMERA, SCREEN } from "../media/encodings";
import type { LocalMedia, Share } from "../media/local";

interface ShareLines {
  readonly share: Share;
  readonly video: RTCRtpTransceiver;
  readonly audio: RTCRtpTransceiver | undefined;
}

export class Outgoing {
  private readonly mic: RTCRtpTransceiver;
  private readonly camera: RTCRtpTransceiver;
  private shared: ShareLines | undefined;
  private demand = ALL;
  private readonly stopWatching: () => void;

  /** `lines`: the description must be negotiated anew. `words`: only what we say of our streams changed. */
  constructor(
    private readonly pc: RTCPeerConnection,
    private readonly media: LocalMedia,
    private readonly changed: (what: "lines" | "words") => void,
  ) {
    const { mic, camera, share } = media.store.value;
    // An empty stream lends its id: tracks come and go beneath it.
    const streams = [new MediaStream()];
    this.mic = pc.addTransceiver(mic.track ?? "audio", { direction: "sendonly", streams });
    this.camera = pc.addTransceiver(camera.track ?? "video", { direction: "sendonly", streams, sendEncodings: CAMERA });
    if (share) this.shared = this.open(share);
    this.stopWatching = media.store.watch(this.follow);
  }

  close(): void {
    this.stopWatching();
  }

  /** Our streams as others should know them, in the words of our newest description. */
  describe(): OwnStream[] {
    const { mic, camera } = this.media.store.value;
    const lines = new Map(sections(this.pc.localDescription?.sdp ?? "").map((line) => [line.mid, line]));
    const line = (transceiver: RTCRtpTransceiver | undefined) => lines.get(transceiver?.mid ?? "");
    const [voice, face] = [line(this.mic), line(this.camera)];
    const streams: OwnStream[] = [];
    if (voice && face) {
      streams.push({
        id: face.streamId,
        purpose: "m.usermedia",
        audioMuted: !mic.on || !mic.track,
        videoMuted: !camera.on || !camera.track,
        tracks: [audio(voice.trackId), video(face.trackId, camera.track)],
      });
    }
    const [picture, sound] = [line(this.shared?.video), line(this.shared?.audio)];
    if (this.shared && picture?.streamId) {
      streams.push({
        id: picture.streamId,
        purpose: "m.screenshare",
        audioMuted: !sound,
        videoMuted: false,
        tracks: [...(sound?.trackId ? [audio(sound.trackId)] : []), video(picture.trackId, this.shared.share.video)],
      });
    }
    return streams;
  }

  /** Send no more of our pictures than the focus needs. Muting is another matter: it takes the track away. */
  async obey(demand: Demand): Promise<void> {
    this.demand = demand;
    await Promise.all([this.limit(this.camera, CAMERA), this.shared && this.limit(this.shared.video, SCREEN)]);
  }

  private async limit({ mid, sender }: RTCRtpTransceiver, ladder: readonly RTCRtpEncodingParameters[]): Promise<void> {
    const line = sections(this.pc.localDescription?.sdp ?? "").find((one) => one.mid === mid);
    const parameters = sender.getParameters();
    if (!line || !parameters.encodings?.length) return;
    const needed = this.demand.get(nameOf(line.streamId, line.trackId));
    const active = activity(parameters.encodings, needed);
    const most = ceilings(parameters.encodings, ladder, needed);
    if (parameters.encodings.every((one, i) => (one.active ?? true) === active[i] && one.maxBitrate === most[i])) return;
    parameters.encodings.forEach((one, i) => {
      one.active = active[i] ?? true;
      if (most[i] !== undefined) one.maxBitrate = most[i];
    });
    // It fails where a description is being applied that takes the line away.
    await sender.setParameters(parameters).catch(() => undefined);
  }

  /** The line of our voice, whose level can be read. */
  get voice(): RTCRtpSender {
    return this.mic.sender;
  }

  private readonly follow = (): void => {
    const { mic, camera, share } = this.media.store.value;
    void put(this.mic, mic.track);
    void put(this.camera, camera.track);
    if (share !== this.shared?.share) {
      if (this.shared) {
        this.shared.video.stop();
        this.shared.audio?.stop();
      }
      this.shared = share && this.open(share);
      this.changed("lines");
    } else {
      this.changed("words");
    }
  };

  private open(share: Share): ShareLines {
    const streams = [new MediaStream()];
    const video = this.pc.addTransceiver(share.video, { direction: "sendonly", streams, sendEncodings: SCREEN });
    const audio = share.audio && this.pc.addTransceiver(share.audio, { direction: "sendonly", streams });
    return { share, video, audio };
  }
}

async function put(transceiver: RTCRtpTransceiver, track: MediaStreamTrack | undefined): Promise<void> {
  if (transceiver.sender.track === (track ?? null)) return;
  try {
    await transceiver.sender.replaceTrack(track ?? null);
  } catch {
    // The connection was closed meanwhile: there is nothing to send on.
  }
}

function audio(id: string): TrackInfo {
  return { id, kind: "audio", width: 0, height: 0 };
}

function video(id: string, track: MediaStreamTrack | undefined): TrackInfo {
  const { width = 0, height = 0 } = track?.getSettings() ?? {};
  return { id, kind: "video", width, height };
}
