/**
 * The way into a call by room state: find or start the call, choose the focus and bring it in, write our entry, take it out.
 *
 * It writes state and sends invitations to rooms; it dials nobody (MSC3401 §3, MSC3898).
 */
import type { Config } from "../config";
import {
  CALL,
  CALL_MEMBER,
  chooseFocus,
  entries,
  liveCall,
  NEW_CALL,
  POWER,
  withEntry,
  withoutEntry,
} from "../core/membership";
import { allowingCalls, levelNeeded, levelOf, mayAllow, powerLevels } from "../core/power";
import type { Device, Purpose } from "../core/vocabulary";
import { Refused, type Content, type Session } from "../matrix/session";
import type { Problem } from "./state";

/** A problem that needs the person, as an exception. */
export class Stopped extends Error {
  constructor(readonly problem: Problem) {
    super(problem.kind);
  }
}

/** Where we are going. */
export interface Way {
  readonly conf: string;
  readonly focus: Device;
}

export class Entrance {
  constructor(
    private readonly session: Session,
    private readonly config: Config,
    private readonly sessionId: string,
  ) {}

  /** Find the call, or start one; choose the focus. Throws `Stopped`, `Refused`. */
  async find(): Promise<Way> {
    const conf = liveCall(this.session.readState()) ?? (await this.begin());
    const others = entries(this.session.readState(), conf, Date.now());
    return { conf, focus: chooseFocus(others, this.session, this.config.focus) };
  }

  /** Say that we are in the call, by this focus. Throws `Stopped`, `Refused`. */
  async enter(way: Way, feeds: readonly Purpose[]): Promise<void> {
    const own = { ...self(this.session), sessionId: this.sessionId, feeds, focus: way.focus };
    await this.write(CALL_MEMBER, this.session.userId, withEntry(this.ownContent(), way.conf, own, Date.now()));
  }

  /** Invite the focus if it is not in the room. False: it is missing, and we may not invite it. */
  async bringFocus(focus: Device): Promise<boolean> {
    const membership = await this.session.membershipOf(focus.userId);
    if (membership === "join" || membership === "invite") return true;
    try {
      await this.session.invite(focus.userId);
      return true;
    } catch (error) {
      if (error instanceof Refused && error.status === 403) return false;
      throw error;
    }
  }

  /** Why we may not join calls here, as room state has it now; undefined when we may. */
  get problem(): Problem | undefined {
    const live = liveCall(this.session.readState()) !== undefined;
    return this.mayWrite(CALL_MEMBER) && (live || this.mayWrite(CALL)) ? undefined : this.refused().problem;
  }

  /** Whether ordinary members may not join calls, though we could let them. */
  get closedToOthers(): boolean {
    const levels = powerLevels(this.session.readState());
    const closed = levelOf(levels, "") < levelNeeded(levels, CALL_MEMBER);
    return closed && mayAllow(levels, this.session.userId, this.session.creators());
  }

  /** Take our entry out. */
  async leave(way: Way): Promise<void> {
    await this.session.sendState(CALL_MEMBER, this.session.userId, this.without(way));
  }

  /** The same from a page that is being closed. */
  leaveClosing(way: Way): void {
    this.session.sendStateClosing(CALL_MEMBER, this.session.userId, this.without(way));
  }

  /** Let everybody write call state, as an admin. Throws `Refused`. */
  async allow(): Promise<void> {
    const levels = powerLevels(this.session.readState());
    await this.session.sendState(POWER, "", allowingCalls(levels));
  }

  private async begin(): Promise<string> {
    // As js-sdk makes them: sortable by eye, and nobody else's.
    const letters = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => String.fromCharCode(97 + (byte % 26)));
    const conf = `${Date.now()}${letters.join("")}`;
    await this.write(CALL, conf, NEW_CALL);
    return conf;
  }

  private async write(type: string, key: string, content: Content): Promise<void> {
    // Known beforehand, it is not tried.
    if (!this.mayWrite(type)) throw this.refused();
    try {
      await this.session.sendState(type, key, content);
    } catch (error) {
      if (error instanceof Refused && error.status === 403) throw await this.why();
      throw error;
    }
  }

  /** Why the homeserver did not take our state, though the rules that we know allow it. */
  private async why(): Promise<Stopped> {
    // The focus's hangup may be here before the news that somebody took us out.
    const membership = await this.session.membershipOf(this.session.userId, true);
    if (membership === "ban") return new Stopped({ kind: "banned" });
    return membership === "join" ? this.refused() : new Stopped({ kind: "removed" });
  }

  /** Whether room state lets us write this type. A room without power levels has rules of its own: there we try. */
  private mayWrite(type: string): boolean {
    const state = this.session.readState();
    const { userId } = this.session;
    if (!state.some((event) => event.type === POWER) || this.session.creators().includes(userId)) return true;
    const levels = powerLevels(state);
    return levelOf(levels, userId) >= levelNeeded(levels, type);
  }

  private refused(): Stopped {
    const levels = powerLevels(this.session.readState());
    return new Stopped({ kind: "notAllowed", mayAllow: mayAllow(levels, this.session.userId, this.session.creators()) });
  }

  private without(way: Way): Content {
    return withoutEntry(this.ownContent(), way.conf, this.session.deviceId, Date.now());
  }

  private ownContent(): Content {
    const { userId } = this.session;
    return this.session.readState().find((event) => event.type === CALL_MEMBER && event.key === userId)?.content ?? {};
  }
}

function self(session: Session): Device {
  return { userId: session.userId, deviceId: session.deviceId };
}
