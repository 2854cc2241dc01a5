/**
 * Whether a user may write the state that a call needs, and how an admin allows it to all.
 *
 * Pure over the power levels event (client-server specification, `m.room.power_levels`).
 */
import { number, object, type Json } from "./json";
import { CALL, CALL_MEMBER, POWER } from "./membership";
import type { StateEvent } from "./vocabulary";

const STATE_DEFAULT = 50;

/** The power levels event's content. */
export function powerLevels(state: readonly StateEvent[]): Json {
  return state.find((event) => event.type === POWER && event.key === "")?.content ?? {};
}

/** The level of a user. In a room without the event its creator may do everything; we then simply try. */
export function levelOf(levels: Json, userId: string): number {
  return number(object(levels.users)?.[userId]) ?? number(levels.users_default) ?? 0;
}

/** The level that a state event of this type needs. */
export function levelNeeded(levels: Json, type: string): number {
  return number(object(levels.events)?.[type]) ?? number(levels.state_default) ?? STATE_DEFAULT;
}

/** Whether the user may change who can join calls. `creators`: users above all levels (room version 12). */
export function mayAllow(levels: Json, userId: string, creators: readonly string[]): boolean {
  return creators.includes(userId) || levelOf(levels, userId) >= levelNeeded(levels, POWER);
}

/** Power levels under which every member may join calls, and start them. */
export function allowingCalls(levels: Json): Json {
  return { ...levels, events: { ...object(levels.events), [CALL_MEMBER]: 0, [CALL]: 0 } };
}
