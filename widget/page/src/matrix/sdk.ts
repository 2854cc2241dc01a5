/**
 * `Session` on matrix-js-sdk: one client, following one room with a strict filter.
 *
 * The SDK's own call code is off: this page speaks MSC3401 and MSC3898 itself.
 */
import {
  ClientEvent,
  createClient,
  Filter,
  MatrixError,
  RoomEvent,
  RoomMemberEvent,
  RoomStateEvent,
  SyncState,
  type IFilterDefinition,
  type MatrixClient,
  type MatrixEvent,
  type ReceivedToDeviceMessage,
  type Room,
} from "matrix-js-sdk";
import type { ToDevice } from "../config";
import { CALL, CALL_MEMBER, MEMBER, POWER } from "../core/membership";
import type { Device, StateEvent } from "../core/vocabulary";
import type { Login } from "./login";
import { Olm } from "./olm";
import { quiet } from "./quiet";
import { Refused, type Content, type Session, type ToDeviceMessage, type Unsubscribe } from "./session";

const READ = [CALL, CALL_MEMBER, MEMBER, POWER];
const SYNCED = [...READ, "m.room.create", "m.room.name", "m.room.canonical_alias"];

/** How long the first sync may take. */
const FIRST_SYNC = 30_000;
/** A homeserver that asks us to wait longer than this is not waited for. */
const LONGEST_RATE_WAIT = 20_000;
const TRIES = 4;
/** What we sent last comes back in a sync within this time, on a homeserver that is well. */
const LAST_SYNC = 1_000;

/** Enter a room with a login, and follow it. Throws `Refused`. */
export async function openSession(homeserver: string, login: Login, room: string, mode: ToDevice): Promise<Session> {
  const client = createClient({
    baseUrl: homeserver,
    accessToken: login.accessToken,
    userId: login.userId,
    deviceId: login.deviceId,
    disableVoip: true,
    logger: quiet,
  });
  const [joined] = await Promise.all([
    refusing(() => client.joinRoom(room, { viaServers: viaServers(room) })),
    mode === "olm"
      ? client.initRustCrypto({
          useIndexedDB: !login.guest,
          cryptoDatabasePrefix: `weir-${login.userId}-${login.deviceId}`,
        })
      : undefined,
  ]);
  await started(client, joined.roomId);
  return new SdkSession(client, joined.roomId, login, mode === "olm" ? new Olm(client) : undefined);
}

function viaServers(room: string): string[] {
  const server = room.slice(room.indexOf(":") + 1);
  return room.startsWith("!") && room.includes(":") ? [server] : [];
}

function filterOf(userId: string, roomId: string): Filter {
  const definition: IFilterDefinition = {
    account_data: { types: [], limit: 1 },
    presence: { types: [], limit: 1 },
    room: {
      rooms: [roomId],
      account_data: { types: [] },
      ephemeral: { types: [] },
      state: { types: SYNCED, lazy_load_members: true },
      timeline: { types: SYNCED, limit: 20, lazy_load_members: true },
    },
  };
  const filter = new Filter(userId);
  filter.setDefinition(definition);
  return filter;
}

/** Start the client; returns once the room is there. */
function started(client: MatrixClient, roomId: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => done(new Refused(0, "", "the homeserver does not answer")), FIRST_SYNC);
    const look = (state: SyncState) => {
      if ((state === SyncState.Prepared || state === SyncState.Syncing) && client.getRoom(roomId)) done();
    };
    const done = (error?: Error) => {
      clearTimeout(timer);
      client.off(ClientEvent.Sync, look);
      if (!error) return resolve();
      client.stopClient();
      reject(error);
    };
    client.on(ClientEvent.Sync, look);
    client
      .startClient({ filter: filterOf(client.getSafeUserId(), roomId), lazyLoadMembers: true, initialSyncLimit: 1 })
      .catch((error: unknown) => done(refusal(error)));
  });
}

function refusal(error: unknown): Refused {
  if (error instanceof Refused) return error;
  if (error instanceof MatrixError) return new Refused(error.httpStatus ?? 0, error.errcode ?? "", error.message);
  return new Refused(0, "", error instanceof Error ? error.message : String(error));
}

/** Do it, again when the homeserver asks for patience; throws `Refused`. */
async function refusing<T>(request: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await request();
    } catch (error) {
      const refused = refusal(error);
      const wait = error instanceof MatrixError ? Number(error.data?.retry_after_ms ?? 1000) : 1000;
      const passing = refused.status === 429 || refused.status >= 500 || refused.status === 0;
      if (!passing || tries >= TRIES || wait > LONGEST_RATE_WAIT) throw refused;
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}

class SdkSession implements Session {
  readonly userId: string;
  readonly deviceId: string;
  private readonly hearers = new Set<(message: ToDeviceMessage) => void>();
  private sending: Promise<void> = Promise.resolve();
  private readonly asked = new Set<string>();
  private readonly names = new Map<string, string>();

  constructor(
    private readonly client: MatrixClient,
    readonly roomId: string,
    private readonly login: Login,
    private readonly olm: Olm | undefined,
  ) {
    this.userId = login.userId;
    this.deviceId = login.deviceId;
    client.on(ClientEvent.ReceivedToDeviceMessage, this.receive);
  }

  private readonly receive = ({ message, encryptionInfo }: ReceivedToDeviceMessage): void => {
    if (!message.type.startsWith("m.call.")) return;
    const encrypted = encryptionInfo !== null;
    const sender = encryptionInfo?.sender ?? message.sender;
    for (const hear of this.hearers) hear({ sender, type: message.type, content: message.content, encrypted });
  };

  sendToDevice(to: Device, type: string, content: Content): Promise<void> {
    const sent = this.sending.then(() =>
      refusing(async () => {
        if (this.olm) await this.olm.send(to, type, content);
        else await this.client.sendToDevice(type, new Map([[to.userId, new Map([[to.deviceId, content]])]]));
      }),
    );
    this.sending = sent.catch(() => undefined);
    return sent;
  }

  async sendState(type: string, key: string, content: Content): Promise<void> {
    // The SDK types the state events that it knows; ours are not among them.
    const send = this.client.sendStateEvent.bind(this.client) as unknown as (
      room: string,
      type: string,
      content: Content,
      key: string,
    ) => Promise<unknown>;
    await refusing(() => send(this.roomId, type, content, key));
  }

  sendStateClosing(type: string, key: string, content: Content): void {
    const path = ["rooms", this.roomId, "state", type, key].map(encodeURIComponent).join("/");
    void fetch(`${this.client.getHomeserverUrl()}/_matrix/client/v3/${path}`, {
      method: "PUT",
      keepalive: true,
      headers: { Authorization: `Bearer ${this.login.accessToken}`, "Content-Type": "application/json" },
      body: JSON.stringify(content),
    }).catch(() => undefined);
  }

  readState(): readonly StateEvent[] {
    const state = this.room().currentState;
    return READ.flatMap((type) => state.getStateEvents(type)).map((event: MatrixEvent) => ({
      type: event.getType(),
      key: event.getStateKey() ?? "",
      sender: event.getSender() ?? "",
      at: event.getTs(),
      content: event.getContent(),
    }));
  }

  async invite(userId: string): Promise<void> {
    await refusing(() => this.client.invite(this.roomId, userId));
  }

  async membershipOf(userId: string, fresh = false): Promise<string> {
    const member = this.room().getMember(userId);
    if (member?.membership && !fresh) return member.membership;
    try {
      const content = await this.client.getStateEvent(this.roomId, MEMBER, userId);
      return typeof content.membership === "string" ? content.membership : "leave";
    } catch {
      return "leave";
    }
  }

  nameOf(userId: string): string {
    const member = this.room().getMember(userId);
    if (member?.events.member) return member.name;
    const known = this.names.get(userId);
    if (known) return known;
    this.askName(userId);
    return userId.slice(1).split(":")[0] ?? userId;
  }

  /** Members are loaded lazily: ask for the one that is seen, once. */
  private askName(userId: string): void {
    if (this.asked.has(userId)) return;
    this.asked.add(userId);
    void this.client
      .getStateEvent(this.roomId, MEMBER, userId)
      .then((content) => {
        if (typeof content.displayname === "string") this.names.set(userId, content.displayname);
        this.client.emit(RoomStateEvent.Update, this.room().currentState);
      })
      .catch(() => undefined);
  }

  roomName(): string {
    return this.room().name;
  }

  creators(): readonly string[] {
    const create = this.room().currentState.getStateEvents("m.room.create", "");
    if (!create || Number(create.getContent().room_version ?? "1") < 12) return [];
    const others: unknown = create.getContent().additional_creators;
    return [create.getSender() ?? "", ...(Array.isArray(others) ? others.map(String) : [])];
  }

  async iceServers(): Promise<RTCIceServer[]> {
    try {
      const { uris, username, password } = await this.client.turnServer();
      return uris?.length ? [{ urls: uris, username, credential: password }] : [];
    } catch {
      return [];
    }
  }

  onToDevice(hear: (message: ToDeviceMessage) => void): Unsubscribe {
    this.hearers.add(hear);
    return () => this.hearers.delete(hear);
  }

  onState(hear: () => void): Unsubscribe {
    const look = (where: { roomId: string }) => {
      if (where.roomId === this.roomId) hear();
    };
    const event = (_: MatrixEvent, where: { roomId: string }) => look(where);
    this.client.on(RoomStateEvent.Events, event);
    this.client.on(RoomStateEvent.Update, look);
    this.client.on(RoomEvent.MyMembership, look);
    this.client.on(RoomEvent.Name, look);
    this.client.on(RoomMemberEvent.Name, hear);
    return () => {
      this.client.off(RoomStateEvent.Events, event);
      this.client.off(RoomStateEvent.Update, look);
      this.client.off(RoomEvent.MyMembership, look);
      this.client.off(RoomEvent.Name, look);
      this.client.off(RoomMemberEvent.Name, hear);
    };
  }

  onSync(hear: (reached: boolean) => void): Unsubscribe {
    const look = (state: SyncState) => hear(state !== SyncState.Error && state !== SyncState.Reconnecting);
    this.client.on(ClientEvent.Sync, look);
    return () => this.client.off(ClientEvent.Sync, look);
  }

  close(): Promise<void> {
    this.hearers.clear();
    // Between two syncs: in the middle of one, the SDK's crypto would be freed under its own feet.
    return new Promise((resolve) => {
      const stop = () => {
        clearTimeout(timer);
        this.client.off(ClientEvent.Sync, soon);
        this.client.stopClient();
        resolve();
      };
      const soon = () => setTimeout(stop);
      const timer = setTimeout(stop, LAST_SYNC);
      this.client.on(ClientEvent.Sync, soon);
    });
  }

  private room(): Room {
    const room = this.client.getRoom(this.roomId);
    if (!room) throw new Error("the room was there at the first sync and is never forgotten");
    return room;
  }
}
