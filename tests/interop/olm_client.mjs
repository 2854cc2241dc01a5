// A Matrix client with Rust crypto, driven by JSON lines on stdin; what it receives goes to stdout, one JSON a line.
// Started as: node olm_client.mjs SDK_FOLDER '{"baseUrl", "userId", "deviceId", "accessToken"}'
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

// Node 20 lacks it, and the SDK uses it.
Promise.withResolvers ??= function () {
    let resolve, reject;
    const promise = new Promise((yes, no) => ([resolve, reject] = [yes, no]));
    return { promise, resolve, reject };
};

// stdout is ours; the SDK logs at length to whatever the console is when it is loaded.
for (const level of ["trace", "debug", "log", "info", "warn"]) console[level] = () => {};

const say = (fields) => process.stdout.write(JSON.stringify(fields) + "\n");
const [folder, account] = process.argv.slice(2);
const sdk = await import(pathToFileURL(`${folder}/lib/index.js`).href);

const client = sdk.createClient({ ...JSON.parse(account), useE2eForGroupCall: false });
await client.initRustCrypto({ useIndexedDB: false });
client.on(sdk.ClientEvent.ReceivedToDeviceMessage, ({ message, encryptionInfo }) =>
    say({ message, encrypted: encryptionInfo ?? null }),
);
const prepared = new Promise((resolve) =>
    client.on(sdk.ClientEvent.Sync, (state) => state === "PREPARED" && resolve()),
);
await client.startClient({ initialSyncLimit: 1 });
await prepared;

// Resolves once this client knows the room as encrypted and the user in it as joined.
async function shared(room, user) {
    const there = () => {
        const found = client.getRoom(room);
        return found?.hasEncryptionStateEvent() && found.getMember(user)?.membership === "join";
    };
    while (!there()) await new Promise((resolve) => client.once("RoomState.events", resolve));
}

const deeds = {
    // A message in an encrypted room: its room key goes to every device there, and from then on the SDK tracks them.
    async say({ room, user, body }) {
        await shared(room, user);
        await client.sendTextMessage(room, body);
    },
    // To-device, by Olm. The SDK silently encrypts to nobody when it does not track the user.
    async send({ user, device, type, content }) {
        const batch = await client.getCrypto().encryptToDeviceMessages(type, [{ userId: user, deviceId: device }], content);
        if (batch.batch.length !== 1) throw new Error("encrypted to nobody");
        await client.queueToDevice(batch);
    },
};

say({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
    const { deed, ...fields } = JSON.parse(line);
    try {
        await deeds[deed](fields);
        say({ done: deed });
    } catch (error) {
        say({ failed: String(error?.stack ?? error) });
    }
}
client.stopClient();
process.exit(0);
