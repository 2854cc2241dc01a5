/**
 * Our own camera, microphone and screen: acquired, muted, exchanged, released.
 *
 * Acts are carried out one after another, so that clicks cannot overtake each other. It
 * knows no call: whoever sends the tracks watches the store.
 */
import { framesPerSecond } from "../core/pace";
import { Store } from "../store";
import { problemOf, type MediaProblem } from "./problem";
import { choose, chosen, type DeviceKind } from "./choice";

/** Camera or microphone. */
export interface Side {
  /** What the person wants; the track follows. */
  readonly on: boolean;
  readonly track: MediaStreamTrack | undefined;
  readonly problem: MediaProblem | undefined;
}

export interface Share {
  readonly video: MediaStreamTrack;
  readonly audio: MediaStreamTrack | undefined;
}

export interface MediaState {
  readonly mic: Side;
  readonly camera: Side;
  readonly share: Share | undefined;
  readonly shareProblem: MediaProblem | undefined;
  readonly devices: readonly MediaDeviceInfo[];
  readonly speaker: string;
}

const OFF: Side = { on: false, track: undefined, problem: undefined };

/** The camera's light goes out this long after muting: a quick change of mind costs nothing. */
const CAMERA_LINGERS = 400;

const PICTURE = { width: { ideal: 1280 }, height: { ideal: 720 } };
const SOUND = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

export class LocalMedia {
  readonly store = new Store<MediaState>({
    mic: OFF,
    camera: OFF,
    share: undefined,
    shareProblem: undefined,
    devices: [],
    speaker: chosen("audiooutput"),
  });
  private acts: Promise<void> = Promise.resolve();
  private frames = framesPerSecond(1);
  private lingering: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    navigator.mediaDevices?.addEventListener("devicechange", this.listDevices);
  }

  /** Turn both on, with one question to the person if the browser asks. Problems end up in the state. */
  start(): Promise<void> {
    return this.act(async () => {
      this.patch("mic", { on: true });
      this.patch("camera", { on: true });
      try {
        const stream = await capture({ audio: this.sound(), video: this.picture() });
        this.adopt("mic", stream.getAudioTracks()[0]);
        this.adopt("camera", stream.getVideoTracks()[0]);
      } catch {
        // One of the two may be missing: ask for each alone, and learn what is wrong with which.
        await this.acquire("mic");
        await this.acquire("camera");
      }
      await this.listDevices();
    });
  }

  setMic(on: boolean): Promise<void> {
    this.patch("mic", { on, problem: undefined });
    const track = this.store.value.mic.track;
    if (track) track.enabled = on;
    return this.act(async () => {
      if (on && !live(this.store.value.mic.track)) await this.acquire("mic");
    });
  }

  setCamera(on: boolean): Promise<void> {
    this.patch("camera", { on, problem: undefined });
    clearTimeout(this.lingering);
    const track = this.store.value.camera.track;
    if (track) track.enabled = on;
    if (!on) this.lingering = setTimeout(() => void this.act(async () => this.release("camera")), CAMERA_LINGERS);
    return this.act(async () => {
      if (on && !live(this.store.value.camera.track)) await this.acquire("camera");
    });
  }

  /** Capture so many frames a second from now on: what is not captured costs nobody anything. */
  pace(frames: number): void {
    if (frames === this.frames) return;
    this.frames = frames;
    // A camera that cannot, goes on as it does.
    this.store.value.camera.track?.applyConstraints(this.picture()).catch(() => undefined);
  }

  /** Use another camera, microphone or speaker, now and next time. */
  chooseDevice(kind: DeviceKind, id: string): Promise<void> {
    choose(kind, id);
    if (kind === "audiooutput") {
      this.store.set({ speaker: id });
      return Promise.resolve();
    }
    const side = kind === "audioinput" ? "mic" : "camera";
    return this.act(async () => {
      if (this.store.value[side].on) await this.acquire(side);
    });
  }

  /** Ask for a screen and share it. */
  share(): Promise<void> {
    return this.act(async () => {
      if (this.store.value.share) return;
      try {
        if (!navigator.mediaDevices?.getDisplayMedia) throw new TypeError("no screen capture here");
        const stream = await navigator.mediaDevices.getDisplayMedia({
          video: { frameRate: { ideal: 15, max: 30 } },
          audio: true,
        });
        const video = stream.getVideoTracks()[0];
        if (!video) throw new DOMException("no picture", "NotFoundError");
        video.contentHint = "detail";
        // The browser's own "stop sharing" button.
        video.addEventListener("ended", () => this.stopShare());
        this.store.set({ share: { video, audio: stream.getAudioTracks()[0] }, shareProblem: undefined });
      } catch (error) {
        // Whoever closes the browser's picker changed their mind; that is no problem to report.
        const problem = problemOf(error);
        this.store.set({ shareProblem: problem === "denied" ? undefined : problem });
      }
    });
  }

  stopShare(): void {
    const share = this.store.value.share;
    share?.video.stop();
    share?.audio?.stop();
    this.store.set({ share: undefined });
  }

  /** Let everything go; lights off. */
  stop(): void {
    clearTimeout(this.lingering);
    this.stopShare();
    this.patch("mic", { on: false });
    this.patch("camera", { on: false });
    this.release("mic");
    this.release("camera");
    navigator.mediaDevices?.removeEventListener("devicechange", this.listDevices);
  }

  private act(work: () => Promise<void>): Promise<void> {
    this.acts = this.acts.then(work).catch((error: unknown) => console.error(error));
    return this.acts;
  }

  private async acquire(side: "mic" | "camera"): Promise<void> {
    try {
      const wanted = side === "mic" ? { audio: this.sound() } : { video: this.picture() };
      const stream = await capture(wanted);
      this.adopt(side, stream.getTracks()[0]);
      await this.listDevices();
    } catch (error) {
      this.release(side);
      this.patch(side, { on: false, problem: problemOf(error) });
    }
  }

  private adopt(side: "mic" | "camera", track: MediaStreamTrack | undefined): void {
    const old = this.store.value[side].track;
    if (!track) return;
    track.enabled = this.store.value[side].on;
    track.addEventListener("ended", () => {
      // Unplugged, or taken away by the system.
      if (this.store.value[side].track === track) this.patch(side, { on: false, track: undefined, problem: "missing" });
    });
    this.patch(side, { track, problem: undefined });
    if (old !== track) old?.stop();
    // Muted while the browser was still asking.
    if (side === "camera" && !this.store.value.camera.on) this.release("camera");
  }

  private release(side: "mic" | "camera"): void {
    const track = this.store.value[side].track;
    if (side === "camera" && this.store.value.camera.on && live(track)) return;
    this.patch(side, { track: undefined });
    track?.stop();
  }

  private patch(side: "mic" | "camera", change: Partial<Side>): void {
    const now = { ...this.store.value[side], ...change };
    this.store.set(side === "mic" ? { mic: now } : { camera: now });
  }

  private sound(): MediaTrackConstraints {
    const id = chosen("audioinput");
    return id ? { ...SOUND, deviceId: { ideal: id } } : SOUND;
  }

  private picture(): MediaTrackConstraints {
    const id = chosen("videoinput");
    const picture = { ...PICTURE, frameRate: { ideal: this.frames, max: this.frames } };
    return id ? { ...picture, deviceId: { ideal: id } } : { ...picture, facingMode: { ideal: "user" } };
  }

  private readonly listDevices = async (): Promise<void> => {
    const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    this.store.set({ devices: devices.filter((device) => device.deviceId !== "") });
  };
}

async function capture(constraints: MediaStreamConstraints): Promise<MediaStream> {
  if (!navigator.mediaDevices) throw new TypeError("no camera on a page without TLS");
  return navigator.mediaDevices.getUserMedia(constraints);
}

function live(track: MediaStreamTrack | undefined): boolean {
  return track?.readyState === "live";
}
