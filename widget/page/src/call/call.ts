/**
 * A call, from opening a room to leaving it: it enters, dials, dials again, and stops when only a person can help.
 *
 * One round runs at a time; what room state says may end it. Policy is elsewhere:
 * `core/reconnect.ts` says when to dial again, `entrance.ts` how to enter, `leg.ts` how to dial.
 */
import type { Config, ToDevice } from "../config";
import { isTerminated, liveCall, MEMBER, REFRESH, sessionOf } from "../core/membership";
import { framesPerSecond } from "../core/pace";
import { SETTLED, verdict, type Ending } from "../core/reconnect";
import type { Purpose, Size } from "../core/vocabulary";
import type { Login } from "../matrix/login";
import { openSession } from "../matrix/sdk";
import { Refused, type Session } from "../matrix/session";
import type { LocalMedia } from "../media/local";
import { Store } from "../store";
import { Ear, type Source } from "./ear";
import { Entrance, Stopped, type Way } from "./entrance";
import { Leg } from "./leg";
import { Roster } from "./roster";
import type { CallControls, CallState, Delay, Problem } from "./state";
import { Subscriber } from "./subscriber";
import { Uplink } from "./uplink";

export interface Options {
  readonly config: Config;
  /** Called once per session: a login that has expired is asked for anew. */
  readonly login: () => Promise<Login>;
  readonly room: string;
  readonly toDevice: ToDevice;
  readonly media: LocalMedia;
}

/** How long leaving waits for the homeserver. */
const GOODBYE = 3_000;
const REWRITE_AGAIN = 20_000;
const HOMESERVER_WAITS = [500, 1_000, 2_000, 5_000, 10_000];

/** The round goes on from the start: another call of the room is the live one. */
class Moved extends Error {}

export class Call implements CallControls {
  readonly store = new Store<CallState>({
    phase: "entering",
    problem: undefined,
    delay: undefined,
    roomName: "",
    ownName: "",
    streams: [],
    speaking: new Set(),
    floor: undefined,
    focusUser: "",
    closedToOthers: false,
    uplink: "good",
  });

  private readonly sessionId = crypto.randomUUID().replaceAll("-", "").slice(0, 12);
  private readonly roster = new Roster();
  private readonly subscriber = new Subscriber((change) => this.leg?.subscribe(change) ?? false);
  private session: Session | undefined;
  private entrance: Entrance | undefined;
  private way: Way | undefined;
  private leg: Leg | undefined;
  private ear: Ear | undefined;
  private round = new AbortController();
  /** What our entry says of our feeds, once the homeserver has taken it. */
  private written = "";
  private entrySeen = false;
  private focusComes = true;
  private closing: Promise<void> | undefined;
  private liveSince: number | undefined;
  private wake: () => void = () => undefined;
  private readonly ends: (() => void)[] = [];

  constructor(private readonly options: Options) {}

  start(): void {
    if (typeof RTCPeerConnection === "undefined") return this.stopped({ kind: "browser" });
    const ear = (this.ear = new Ear(
      () => this.sources(),
      () => this.leg?.outgoing.voice,
      (speaking, floor) => this.heard(speaking, floor),
    ));
    const refresh = setInterval(() => this.rewrite(true), REFRESH);
    const online = () => {
      this.wake();
      this.leg?.findPath();
    };
    addEventListener("online", online);
    addEventListener("pagehide", this.hidden);
    this.ends.push(
      () => ear.close(),
      () => clearInterval(refresh),
      () => removeEventListener("online", online),
      () => removeEventListener("pagehide", this.hidden),
      this.options.media.store.watch(() => this.rewrite(false)),
    );
    void this.run();
  }

  show(pictures: ReadonlyMap<string, Size>): void {
    this.subscriber.show(pictures, devicePixelRatio);
  }

  /** Which stream somebody chose to look at, if any. */
  pin(id: string | undefined): void {
    this.subscriber.pin(id);
  }

  async allow(): Promise<void> {
    await this.entrance?.allow();
    // A call that runs is told by room state; one that was stopped goes on.
    this.again();
  }

  retry(): void {
    if (this.store.value.phase !== "stopped") return;
    this.closing = this.session?.close();
    this.session = undefined;
    this.again();
  }

  async leave(): Promise<void> {
    if (this.isLeft) return;
    this.store.set({ phase: "left", problem: undefined, delay: undefined, streams: [] });
    this.round.abort(new Stopped({ kind: "callEnded" }));
    for (const end of this.ends) end();
    this.subscriber.close();
    const told = Promise.allSettled([this.leg?.hangUp(), this.way && this.entrance?.leave(this.way)]);
    this.options.media.stop();
    await Promise.race([told, new Promise((resolve) => setTimeout(resolve, GOODBYE))]);
    await this.session?.close();
  }

  // The rounds.

  private get isLeft(): boolean {
    return this.store.value.phase === "left";
  }

  private again(): void {
    if (this.store.value.phase !== "stopped") return;
    this.round = new AbortController();
    void this.run();
  }

  private async run(): Promise<void> {
    for (let tries = 0; !this.isLeft; ) {
      this.store.set({ phase: "entering", problem: undefined, delay: undefined });
      try {
        await this.enter();
        tries = 0;
        await this.dialling();
      } catch (error) {
        await this.dropLeg();
        if (this.isLeft) return;
        if (error instanceof Moved) {
          this.round = new AbortController();
        } else if (passing(error)) {
          this.store.set({ delay: "homeserver" });
          await this.pause(HOMESERVER_WAITS[Math.min(tries++, HOMESERVER_WAITS.length - 1)] ?? 0);
        } else {
          return this.stopped(problemOf(error));
        }
      }
    }
  }

  private stopped(problem: Problem): void {
    this.roster.setInfos([]);
    this.store.set({ phase: "stopped", problem, delay: undefined, streams: this.roster.read(() => "") });
  }

  /** Open the session, find the call, write our entry. */
  private async enter(): Promise<void> {
    const { config, room, toDevice } = this.options;
    if (!this.session) {
      // Two sessions of one device would share its keys and spoil them.
      await this.closing;
      const session = await openSession(config.homeserver, await this.options.login(), room, toDevice);
      if (this.isLeft) return session.close();
      this.session = session;
      this.entrance = new Entrance(session, config, this.sessionId);
      this.ends.push(session.onState(() => this.stateChanged(session)));
      this.name(session);
    }
    await this.findWay();
  }

  private async findWay(): Promise<void> {
    const entrance = this.entrance;
    if (!entrance) return;
    const way = await entrance.find();
    this.way = way;
    this.written = "";
    this.store.set({ focusUser: way.focus.userId });
    const [, focusComes] = await Promise.all([this.writeEntry(true), entrance.bringFocus(way.focus)]);
    if (!focusComes) this.store.set({ delay: "uninvited" });
    this.focusComes = focusComes;
  }

  /** Dial until something that only a person can mend. */
  private async dialling(): Promise<never> {
    for (let attempt = 0; ; attempt++) {
      this.store.set({ phase: this.store.value.phase === "reconnecting" ? "reconnecting" : "connecting" });
      this.liveSince = undefined;
      const ending = await this.dial();
      const wasLive = this.store.value.phase === "live";
      if (this.liveSince !== undefined && performance.now() - this.liveSince > SETTLED) attempt = 0;
      this.roster.setTracks(new Map());
      this.tellStreams();
      const next = verdict(ending, attempt, Math.random());
      if (!next.again) throw new Stopped({ kind: next.fatal });
      this.store.set({ phase: wasLive ? "reconnecting" : this.store.value.phase, delay: this.focusComes ? delayOf(ending) : "uninvited" });
      await this.pause(next.wait);
      await this.findWay();
    }
  }

  private async dial(): Promise<Ending> {
    const { session, way } = this;
    if (!session || !way) throw new Stopped({ kind: "unknown", detail: "no session" });
    const iceServers = await session.iceServers();
    this.round.signal.throwIfAborted();
    const olm = this.options.toDevice === "olm";
    const dial = { self: session, ...way, sessionId: this.sessionId, callId: crypto.randomUUID(), olm };
    this.subscriber.forget();
    this.ear?.follow([]);
    return new Promise((resolve, reject) => {
      this.round.signal.addEventListener("abort", () => reject(this.round.signal.reason), { once: true });
      const leg = new Leg(session, dial, iceServers, this.options.media, {
        streams: (infos) => {
          this.roster.setInfos(infos);
          this.tellStreams();
        },
        speakers: (streams) => this.ear?.follow(streams),
        paused: (tracks) => {
          this.roster.setPaused(tracks);
          this.tellStreams();
        },
        tracks: (tracks) => {
          this.roster.setTracks(tracks);
          this.tellStreams();
        },
        live: () => {
          this.liveSince = performance.now();
          this.store.set({ phase: "live", delay: undefined });
          this.subscriber.tell();
        },
        wavering: (wavering) => {
          const { phase } = this.store.value;
          if (wavering && phase === "live") this.store.set({ uplink: "poor" });
          if (!wavering) this.store.set({ uplink: "good" });
        },
        ended: (ending) => {
          uplink.close();
          if (this.leg === leg) this.leg = undefined;
          resolve(ending);
        },
      });
      const uplink = new Uplink(leg.pc, (quality) => this.store.set({ uplink: quality }));
      this.leg = leg;
      leg.start();
    });
  }

  private async dropLeg(): Promise<void> {
    const leg = this.leg;
    this.leg = undefined;
    this.roster.setTracks(new Map());
    await leg?.hangUp();
  }

  /** Wait; the network's return, or the end of the round, cuts it short. */
  private pause(milliseconds: number): Promise<void> {
    const { signal } = this.round;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, milliseconds);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
      if (signal.aborted) reject(signal.reason);
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  }

  // Room state.

  private stateChanged(session: Session): void {
    if (session !== this.session) return;
    this.name(session);
    this.tellStreams();
    if (this.store.value.problem?.kind === "notAllowed") return this.reconsider();
    const { way } = this;
    if (!way || !["connecting", "live", "reconnecting"].includes(this.store.value.phase)) return;
    const state = session.readState();
    const own = state.find((event) => event.type === MEMBER && event.key === session.userId)?.content.membership;
    if (own === "ban") return this.round.abort(new Stopped({ kind: "banned" }));
    if (own !== undefined && own !== "join") return this.round.abort(new Stopped({ kind: "removed" }));
    const live = liveCall(state);
    if (isTerminated(state, way.conf) && !live) return this.round.abort(new Stopped({ kind: "callEnded" }));
    if (live !== undefined && live !== way.conf) return this.round.abort(new Moved());
    const named = sessionOf(state, way.conf, session);
    if (named === this.sessionId) {
      this.entrySeen = true;
    } else if (this.entrySeen && named !== undefined) {
      this.round.abort(new Stopped({ kind: "replaced" }));
    } else if (this.entrySeen) {
      // Another device of ours wrote the event at the same time, and did not know of us.
      this.entrySeen = false;
      this.rewrite(true);
    }
  }

  /** Somebody changed the rules of the room: we may be let in now, or be able to let others in. */
  private reconsider(): void {
    const problem = this.entrance?.problem;
    if (problem) this.store.set({ problem });
    else this.again();
  }

  private async writeEntry(always: boolean): Promise<void> {
    const { way, entrance, options } = this;
    if (!way || !entrance || this.isLeft || this.store.value.phase === "stopped") return;
    const feeds: Purpose[] = ["m.usermedia", ...(options.media.store.value.share ? (["m.screenshare"] as const) : [])];
    if (!always && (this.written === "" || this.written === feeds.join())) return;
    this.written = feeds.join();
    this.entrySeen = false;
    await entrance.enter(way, feeds);
  }

  /** Write our entry anew while the call runs; what does not work now is tried again later. */
  private rewrite(always: boolean): void {
    this.writeEntry(always).catch((error: unknown) => {
      if (error instanceof Stopped) return this.round.abort(error);
      setTimeout(() => this.rewrite(true), REWRITE_AGAIN);
    });
  }

  private readonly hidden = (): void => {
    if (this.way) this.entrance?.leaveClosing(this.way);
  };

  // What is shown.

  private name(session: Session): void {
    this.store.set({
      roomName: session.roomName(),
      ownName: session.nameOf(session.userId),
      closedToOthers: this.entrance?.closedToOthers ?? false,
    });
  }

  private tellStreams(): void {
    const { session } = this;
    this.subscriber.setStreams(this.roster.infos);
    this.options.media.pace(framesPerSecond(1 + this.roster.people));
    this.store.set({ streams: this.roster.read((user) => session?.nameOf(user) ?? user) });
  }

  private sources(): Source[] {
    const receivers = new Map(this.leg?.pc.getReceivers().map((one) => [one.track, one]) ?? []);
    return this.store.value.streams.flatMap((stream) => {
      const receiver = stream.audio && receivers.get(stream.audio);
      return receiver && stream.info.purpose === "m.usermedia" ? [{ streamId: stream.info.id, receiver }] : [];
    });
  }

  private heard(speaking: ReadonlySet<string>, floor: string | undefined): void {
    const now = this.store.value.speaking;
    const moved = now.size !== speaking.size || [...speaking].some((id) => !now.has(id));
    this.store.set({ floor, ...(moved ? { speaking } : {}) });
  }
}

function passing(error: unknown): boolean {
  return error instanceof Refused && (error.status === 0 || error.status === 429 || error.status >= 500);
}

function problemOf(error: unknown): Problem {
  if (error instanceof Stopped) return error.problem;
  if (!(error instanceof Refused)) return { kind: "unknown", detail: error instanceof Error ? error.message : String(error) };
  if (error.status === 401) return { kind: "loggedOut" };
  if (/banned/i.test(error.message)) return { kind: "banned" };
  if ([400, 403, 404].includes(error.status)) return { kind: "noRoom" };
  return { kind: "unknown", detail: error.message };
}

function delayOf(ending: Ending): Delay {
  if (ending.kind === "rejected" && ending.reason === "user_busy") return "busy";
  return ending.kind === "media" ? "media" : "focus";
}
