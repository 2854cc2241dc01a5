/**
 * One leg: a dial to a focus, from the invite to its end (MSC3401 §4, MSC3898).
 *
 * The invite and its answer travel by to-device messages; everything later by the data
 * channel, but for an ICE restart, when that has no path. It never dials twice: whoever
 * made it decides what comes after `ended`. Events are handled one after another.
 */
import { ASSIGNED, SPARES_TAKEN } from "../core/assigned";
import { DEMAND, DEMAND_TAKEN, readDemand } from "../core/demand";
import { object, parseObject, text, type Json } from "../core/json";
import { CHANNEL_METADATA, readMetadata, TO_DEVICE_METADATA, writeMetadata } from "../core/metadata";
import { PAUSED } from "../core/paused";
import {
  ANSWER_TIMEOUT,
  CONNECT_TIMEOUT,
  DISCONNECTED_GRACE,
  longestSilence,
  OFFER_TIMEOUT,
  SEARCH_TIMEOUT,
  type Ending,
} from "../core/reconnect";
import { withDtx } from "../core/sdp";
import { readSpeakers, SPEAKERS } from "../core/speaker";
import type { Subscription } from "../core/subscription";
import type { StreamInfo } from "../core/vocabulary";
import { carriedCodecs } from "../media/encodings";
import type { LocalMedia } from "../media/local";
import type { Content, Session, ToDeviceMessage } from "../matrix/session";
import { Arrivals } from "./arrivals";
import { envelope, isFor, reasonOf, type Dial } from "./message";
import { Outgoing } from "./outgoing";

/** What a leg tells. */
export interface Hearer {
  /** The full set of streams that we may subscribe to. */
  streams(streams: readonly StreamInfo[]): void;
  /** Ids of streams: who has the floor, then who had it before. */
  speakers(streams: readonly string[]): void;
  /** The full set of pictures that our link does not carry, by `trackKey`. */
  paused(tracks: ReadonlySet<string>): void;
  /** The tracks that arrive, by `trackKey`. */
  tracks(tracks: ReadonlyMap<string, MediaStreamTrack>): void;
  /** Media is connected and the data channel is open. */
  live(): void;
  /** Media stopped getting through, or does again. */
  wavering(wavering: boolean): void;
  /** Once; nothing comes after it. */
  ended(ending: Ending): void;
}

/** Longer than MSC2746 asks an invite to live at least. */
const LIFETIME = 90_000;
const RESTART_TIMEOUT = 8_000;
const WATCH_EVERY = 1_000;

export class Leg {
  readonly pc: RTCPeerConnection;
  readonly outgoing: Outgoing;
  private readonly channel: RTCDataChannel;
  private readonly timers = new Map<string, ReturnType<typeof setTimeout>>();
  private readonly stopHearing: () => void;
  private readonly watching: ReturnType<typeof setInterval>;
  private chain: Promise<void> = Promise.resolve();
  private seq = 0;
  private over = false;
  private answered = false;
  private isLive = false;
  private offered = false;
  private offerAgain = false;
  private restarting = false;
  private detour = false;
  private said = "";
  private readonly arrivals = new Arrivals();
  private heardAt = performance.now();
  private pingedAt = 0;
  private longestPause = 0;

  constructor(
    private readonly session: Session,
    private readonly dial: Dial,
    iceServers: RTCIceServer[],
    media: LocalMedia,
    private readonly hearer: Hearer,
  ) {
    this.pc = new RTCPeerConnection({ bundlePolicy: "max-bundle", rtcpMuxPolicy: "require", iceServers });
    this.channel = this.pc.createDataChannel("datachannel");
    this.outgoing = new Outgoing(this.pc, media, (what) => this.ownChange(what));
    this.pc.addEventListener("connectionstatechange", this.connection);
    this.channel.addEventListener("open", () => {
      // Before anything is asked for: what is offered first brings such lines then.
      this.say(SPARES_TAKEN, {});
      this.maybeLive();
    });
    this.channel.addEventListener("close", () => this.end({ kind: "media", detail: "channel closed" }));
    this.channel.addEventListener("message", ({ data }) => this.then(() => this.fromChannel(data)));
    this.stopHearing = session.onToDevice((message) => {
      if (isFor(dial, message)) this.then(() => this.fromDevice(message));
    });
    this.watching = setInterval(() => this.watch(), WATCH_EVERY);
  }

  /** Send the invite. */
  start(): void {
    this.then(async () => {
      const gathered = this.gathered();
      await this.offer();
      const offer = { type: "offer", sdp: this.pc.localDescription?.sdp ?? "" };
      const invitee = this.dial.focus.userId;
      this.after("answer", ANSWER_TIMEOUT, () => this.end({ kind: "unanswered" }));
      this.said = JSON.stringify(this.metadata());
      const content = { invitee, lifetime: LIFETIME, offer, [TO_DEVICE_METADATA]: this.metadata() };
      void this.send("m.call.invite", content).then(() => gathered.then((candidates) => this.trickle(candidates)));
    });
  }

  /** Ask for tracks. False: not yet, the channel is not open. */
  subscribe(change: Subscription): boolean {
    return this.say("m.call.track_subscription", { ...change });
  }

  /** The network of this device changed: find a new path at once. */
  findPath(): void {
    if (!this.answered) return;
    this.restart();
    this.after("search", SEARCH_TIMEOUT, () => {
      if (this.pc.connectionState !== "connected") this.restart();
    });
  }

  /** Hang up, and tell the focus. */
  async hangUp(): Promise<void> {
    if (this.over) return;
    const told = this.send("m.call.hangup", { reason: "user_hangup" });
    this.end({ kind: "hangup", reason: "user_hangup" }, false);
    await told;
  }

  // What comes.

  private async fromDevice({ type, content }: ToDeviceMessage): Promise<void> {
    this.heardAt = performance.now();
    if (type === "m.call.hangup") return this.end({ kind: "hangup", reason: reasonOf(content) });
    if (type === "m.call.reject") return this.end({ kind: "rejected", reason: reasonOf(content) });
    const metadata = content[TO_DEVICE_METADATA] ?? content[CHANNEL_METADATA];
    if (type === "m.call.answer") return this.takeAnswer(content, metadata);
    if (type === "m.call.negotiate") return this.describe(content, metadata, false);
    if (type === "m.call.candidates") return this.addCandidates(content);
  }

  private async takeAnswer(content: Content, metadata: unknown): Promise<void> {
    const sdp = text(object(content.answer)?.sdp);
    if (this.answered || !sdp) return;
    this.answered = true;
    this.cancel("answer");
    this.after("connect", CONNECT_TIMEOUT, () => this.end({ kind: "media", detail: "not connected" }));
    this.hearer.streams(readMetadata(metadata, this.dial.self));
    await this.pc.setRemoteDescription({ type: "answer", sdp: withDtx(sdp) });
    // Before this the focus holds its offers back.
    void this.send("m.call.select_answer", { selected_party_id: text(content.party_id) ?? this.dial.focus.deviceId });
    if (this.offerAgain) this.negotiate();
  }

  private async addCandidates(content: Content): Promise<void> {
    if (!this.answered || !Array.isArray(content.candidates)) return;
    for (const candidate of content.candidates as Json[]) {
      if (!text(candidate.candidate)) continue;
      // What a browser does not understand is no reason to end a call.
      await this.pc.addIceCandidate(candidate as RTCIceCandidateInit).catch(() => undefined);
    }
  }

  private async fromChannel(data: unknown): Promise<void> {
    this.heardAt = performance.now();
    const message = parseObject(data);
    const content = object(message?.content) ?? {};
    switch (message?.type) {
      case "m.call.ping":
        if (this.pingedAt) this.longestPause = Math.max(this.longestPause, this.heardAt - this.pingedAt);
        this.pingedAt = this.heardAt;
        this.say("m.call.pong", {});
        return;
      case "m.call.sdp_stream_metadata_changed":
        return this.hearer.streams(readMetadata(content[CHANNEL_METADATA], this.dial.self));
      case SPEAKERS:
        return this.hearer.speakers(readSpeakers(content));
      case PAUSED:
        this.arrivals.pause(content);
        return this.hearer.paused(this.arrivals.paused());
      case ASSIGNED:
        this.arrivals.assign(content);
        return this.tellTracks();
      case "m.call.negotiate":
        return this.describe(content, content[CHANNEL_METADATA], true);
      case DEMAND:
        await this.outgoing.obey(readDemand(content));
        this.say(DEMAND_TAKEN, {});
        return;
    }
  }

  /** An offer of the focus, or its answer to ours. */
  private async describe(content: Json, metadata: unknown, byChannel: boolean): Promise<void> {
    const words = object(content.description);
    const sdp = text(words?.sdp);
    if (!sdp || (words?.type !== "offer" && words?.type !== "answer")) return;
    const collides = words.type === "offer" && this.pc.signalingState !== "stable";
    // We dialled, so ours stands; the focus takes its offer back and makes it anew.
    if (collides || (words.type === "answer" && !this.offered)) return;
    if (metadata !== undefined) this.hearer.streams(readMetadata(metadata, this.dial.self));
    await this.pc.setRemoteDescription({ type: words.type, sdp: withDtx(sdp) });
    if (words.type === "offer") {
      await this.pc.setLocalDescription();
      this.sendDescription("answer", byChannel);
    } else {
      this.offered = false;
      this.cancel("offer");
      if (this.detour) {
        // What the channel said meanwhile may have overtaken the older words beside our offer.
        this.detour = false;
        this.said = "";
        this.sayMetadata();
      }
      if (this.offerAgain) this.negotiate();
    }
    this.tellTracks();
  }

  private tellTracks(): void {
    this.hearer.tracks(this.arrivals.read(this.pc));
    this.hearer.paused(this.arrivals.paused());
  }

  private readonly connection = (): void => {
    switch (this.pc.connectionState) {
      case "connected":
        this.cancel("grace");
        this.cancel("restart");
        this.restarting = false;
        if (this.isLive) this.hearer.wavering(false);
        return this.maybeLive();
      case "disconnected":
        this.hearer.wavering(true);
        return this.after("grace", DISCONNECTED_GRACE, () => this.restart());
      case "failed":
        return this.isLive ? this.restart() : this.end({ kind: "media", detail: "no path" });
      case "closed":
        return this.end({ kind: "media", detail: "closed" });
    }
  };

  private maybeLive(): void {
    if (this.isLive || this.channel.readyState !== "open" || this.pc.connectionState !== "connected") return;
    this.isLive = true;
    this.cancel("connect");
    this.sayMetadata();
    this.hearer.live();
  }

  // What we do.

  private ownChange(what: "lines" | "words"): void {
    if (what === "lines") this.negotiate();
    else this.then(async () => this.sayMetadata());
  }

  private metadata(): Json {
    return writeMetadata(this.outgoing.describe(), this.dial.self);
  }

  /** Say what our streams are, when that changed. */
  private sayMetadata(): void {
    const metadata = this.metadata();
    const words = JSON.stringify(metadata);
    if (words === this.said) return;
    if (this.say("m.call.sdp_stream_metadata_changed", { [CHANNEL_METADATA]: metadata })) this.said = words;
  }

  /** Offer anew: one offer at a time. */
  private negotiate(): void {
    this.then(async () => {
      this.offerAgain = this.offered || !this.answered || this.pc.signalingState !== "stable";
      if (this.offerAgain) return;
      this.offered = true;
      await this.offer();
      this.sendDescription("offer", !this.restarting);
      this.after("offer", OFFER_TIMEOUT, () => this.end({ kind: "signalling", detail: "offer not answered" }));
    });
  }

  private async offer(): Promise<void> {
    for (const line of this.pc.getTransceivers()) {
      const codecs = carriedCodecs(line.receiver.track.kind === "audio" ? "audio" : "video");
      if (codecs.length && line.direction !== "stopped") line.setCodecPreferences(codecs);
    }
    await this.pc.setLocalDescription();
  }

  private sendDescription(type: "offer" | "answer", byChannel: boolean): void {
    const metadata = this.metadata();
    const description = { type, sdp: this.pc.localDescription?.sdp ?? "" };
    this.said = JSON.stringify(metadata);
    if (byChannel && this.say("m.call.negotiate", { description, [CHANNEL_METADATA]: metadata })) return;
    this.detour ||= type === "offer";
    void this.send("m.call.negotiate", { lifetime: LIFETIME, description, [TO_DEVICE_METADATA]: metadata });
  }

  /** New ICE credentials, told by to-device message: the channel has no path. */
  private restart(): void {
    // One that was answered is under way: what changed since then asks for another.
    if ((this.restarting && this.offered) || this.over) return;
    this.restarting = true;
    this.after("restart", RESTART_TIMEOUT, () => this.judgeRestart());
    this.pc.restartIce();
    this.negotiate();
  }

  /** A path that never broke says nothing when the new one is there: a broken one shows by now. */
  private judgeRestart(): void {
    this.restarting = false;
    if (this.pc.connectionState !== "connected") this.end({ kind: "media", detail: "path lost" });
  }

  private watch(): void {
    this.sayMetadata();
    const silent = performance.now() - this.heardAt;
    if (this.isLive && silent > longestSilence(this.longestPause)) this.end({ kind: "media", detail: "focus silent" });
  }

  private gathered(): Promise<RTCIceCandidate[]> {
    const found: RTCIceCandidate[] = [];
    return new Promise((resolve) => {
      this.pc.addEventListener("icecandidate", ({ candidate }) => {
        if (candidate) found.push(candidate);
        else resolve(found);
      });
    });
  }

  private trickle(candidates: RTCIceCandidate[]): void {
    // MSC2746: an empty candidate ends the list.
    if (!this.over) void this.send("m.call.candidates", { candidates: [...candidates.map((one) => one.toJSON()), { candidate: "" }] });
  }

  // Plumbing.

  private send(type: string, content: Json): Promise<void> {
    const whole = { ...envelope(this.dial, this.seq++, crypto.randomUUID()), ...content };
    return this.session.sendToDevice(this.dial.focus, type, whole).catch((error: unknown) => {
      this.end({ kind: "signalling", detail: error instanceof Error ? error.message : String(error) });
    });
  }

  private say(type: string, content: Json): boolean {
    if (this.over || this.channel.readyState !== "open") return false;
    this.channel.send(JSON.stringify({ type, content }));
    return true;
  }

  private then(work: () => Promise<void>): void {
    this.chain = this.chain
      .then(() => (this.over ? undefined : work()))
      .catch((error: unknown) => this.end({ kind: "signalling", detail: String(error) }));
  }

  private after(name: string, milliseconds: number, act: () => void): void {
    this.cancel(name);
    this.timers.set(name, setTimeout(act, milliseconds));
  }

  private cancel(name: string): void {
    clearTimeout(this.timers.get(name));
    this.timers.delete(name);
  }

  private end(ending: Ending, tell = true): void {
    if (this.over) return;
    this.over = true;
    for (const name of [...this.timers.keys()]) this.cancel(name);
    clearInterval(this.watching);
    this.stopHearing();
    this.outgoing.close();
    this.pc.close();
    if (tell) this.hearer.ended(ending);
  }
}
