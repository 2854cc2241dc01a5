/**
 * To-device messages under Olm to a device that we share no encrypted room with.
 *
 * The SDK's `encryptToDeviceMessages` silently sends nothing to a user that it does not
 * track, and has no public way to track one. So this file, alone, reaches behind its
 * public surface; the SDK's version is pinned for it.
 */
import type { OlmMachine } from "@matrix-org/matrix-sdk-crypto-wasm";
import type { MatrixClient } from "matrix-js-sdk";
import type { Device } from "../core/vocabulary";
import type { Content } from "./session";

type Request = ReturnType<OlmMachine["queryKeysForUsers"]>;

/** What we use of the SDK's crypto beyond its public interface. */
interface Behind {
  getOlmMachineOrThrow(): OlmMachine;
  readonly outgoingRequestProcessor: { makeOutgoingRequest(request: Request): Promise<void> };
  readonly outgoingRequestsManager: { doProcessOutgoingRequests(): Promise<void> };
}

export class Olm {
  private keysAreOut = false;

  constructor(private readonly client: MatrixClient) {}

  /** Encrypt for one device and send. Throws when the device is unknown to its homeserver or has no keys left. */
  async send(to: Device, type: string, content: Content): Promise<void> {
    const crypto = this.client.getCrypto();
    if (!crypto) throw new Error("encryption is not set up");
    const behind = crypto as unknown as Behind;
    if (!this.keysAreOut) {
      // Our own keys first: the other side must be able to look us up when our message arrives.
      await behind.outgoingRequestsManager.doProcessOutgoingRequests();
      this.keysAreOut = true;
    }
    let batch = await crypto.encryptToDeviceMessages(type, [to], content);
    if (batch.batch.length === 0) {
      await this.learn(to.userId, behind);
      batch = await crypto.encryptToDeviceMessages(type, [to], content);
    }
    const message = batch.batch[0];
    if (!message) throw new Error(`${to.userId} has no device ${to.deviceId}`);
    await this.client.sendToDevice(batch.eventType, new Map([[to.userId, new Map([[to.deviceId, message.payload]])]]));
  }

  /** Fetch a user's devices, and follow their changes from now on. */
  private async learn(userId: string, behind: Behind): Promise<void> {
    const { UserId } = await import("@matrix-org/matrix-sdk-crypto-wasm");
    const machine = behind.getOlmMachineOrThrow();
    await machine.updateTrackedUsers([new UserId(userId)]);
    await behind.outgoingRequestProcessor.makeOutgoingRequest(machine.queryKeysForUsers([new UserId(userId)]));
  }
}
