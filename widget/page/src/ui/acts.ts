/** What can be done in a call, whether by a button, a menu or a key: one list for all three. */
import { Check, LayoutGrid, Link, Mic, MicOff, MonitorUp, MonitorX, RectangleHorizontal, Settings2, Video, VideoOff, type LucideIcon } from "lucide-react";
import type { LocalMedia, MediaState } from "../media/local";
import { say } from "../strings";
import type { Layout } from "./Stage";

export interface Act {
  readonly name: "mic" | "camera" | "share" | "layout" | "copy" | "devices";
  readonly hotkey?: string;
  readonly icon: LucideIcon;
  readonly label: string;
  readonly tone?: "off" | "on" | undefined;
  run(): void;
}

interface Around {
  readonly media: LocalMedia;
  readonly state: MediaState;
  readonly layout: Layout;
  readonly copied: boolean;
  setLayout(layout: Layout): void;
  copy(): void;
  chooseDevices(): void;
}

/** Phones have no screen to share. */
const canShare = typeof navigator.mediaDevices?.getDisplayMedia === "function";

export function actsOf({ media, state, layout, copied, setLayout, copy, chooseDevices }: Around): Act[] {
  const { mic, camera, share } = state;
  const acts: Act[] = [
    {
      name: "mic",
      hotkey: "m",
      icon: mic.on ? Mic : MicOff,
      label: say(mic.on ? "bar.mute" : "bar.unmute"),
      tone: mic.on ? undefined : "off",
      run: () => void media.setMic(!mic.on),
    },
    {
      name: "camera",
      hotkey: "v",
      icon: camera.on ? Video : VideoOff,
      label: say(camera.on ? "bar.cameraOff" : "bar.cameraOn"),
      tone: camera.on ? undefined : "off",
      run: () => void media.setCamera(!camera.on),
    },
    {
      name: "share",
      hotkey: "s",
      icon: share ? MonitorX : MonitorUp,
      label: say(share ? "bar.stopShare" : "bar.share"),
      tone: share ? "on" : undefined,
      run: () => (share ? media.stopShare() : void media.share()),
    },
    {
      name: "layout",
      hotkey: "g",
      icon: layout === "grid" ? RectangleHorizontal : LayoutGrid,
      label: say(layout === "grid" ? "bar.spotlight" : "bar.grid"),
      run: () => setLayout(layout === "grid" ? "spotlight" : "grid"),
    },
    {
      name: "copy",
      hotkey: "l",
      icon: copied ? Check : Link,
      label: say(copied ? "bar.copied" : "bar.copy"),
      run: copy,
    },
    { name: "devices", icon: Settings2, label: say("bar.devices"), run: chooseDevices },
  ];
  return acts.filter((act) => act.name !== "share" || canShare);
}
