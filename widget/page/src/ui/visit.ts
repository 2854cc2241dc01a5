/** One person's stay in one room: the call, our media, and who we are. What the interface needs of a call to show it. */
import type { CallControls, CallState } from "../call/state";
import type { Config, ToDevice } from "../config";
import type { Login } from "../matrix/login";
import type { LocalMedia } from "../media/local";
import { Store } from "../store";

export interface CallOptions {
  readonly config: Config;
  readonly login: () => Promise<Login>;
  readonly room: string;
  readonly toDevice: ToDevice;
  readonly media: LocalMedia;
}

export interface RunningCall extends CallControls {
  readonly store: Store<CallState>;
  start(): void;
}

export type MakeCall = (options: CallOptions) => RunningCall;

export interface Visit {
  readonly call: RunningCall;
  readonly media: LocalMedia;
  readonly room: string;
  /** Empty ids until a guest has got an account. */
  readonly self: Store<{ readonly userId: string; readonly deviceId: string }>;
}

export function startVisit(makeCall: MakeCall, options: CallOptions): Visit {
  const self = new Store({ userId: "", deviceId: "" });
  const login = async () => {
    const { userId, deviceId, ...rest } = await options.login();
    self.set({ userId, deviceId });
    return { userId, deviceId, ...rest };
  };
  const call = makeCall({ ...options, login });
  call.start();
  return { call, media: options.media, room: options.room, self };
}

/** Leave, lights off. */
export function endVisit(visit: Visit): void {
  void visit.call.leave();
  visit.media.stop();
}
