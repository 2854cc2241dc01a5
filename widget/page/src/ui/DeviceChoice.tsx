/** Which camera, microphone and speaker: the browser's own selects, which every phone knows how to show. */
import { ChevronDown } from "lucide-react";
import { useId } from "react";
import { chosen, type DeviceKind } from "../media/choice";
import type { LocalMedia } from "../media/local";
import { say, type Key } from "../strings";
import { useStore } from "./useStore";
import { choosesSpeaker } from "./Voice";

const KINDS: readonly (readonly [DeviceKind, Key])[] = [
  ["videoinput", "device.camera"],
  ["audioinput", "device.microphone"],
  ["audiooutput", "device.speaker"],
];

export function DeviceChoice({ media }: { readonly media: LocalMedia }) {
  const { devices } = useStore(media.store);
  return (
    <div className="devices">
      {KINDS.filter(([kind]) => kind !== "audiooutput" || choosesSpeaker).map(([kind, name]) => (
        <DeviceSelect
          key={kind}
          label={say(name)}
          devices={devices.filter((device) => device.kind === kind)}
          current={chosen(kind)}
          onChoose={(id) => void media.chooseDevice(kind, id)}
        />
      ))}
    </div>
  );
}

interface SelectProps {
  readonly label: string;
  readonly devices: readonly MediaDeviceInfo[];
  readonly current: string;
  onChoose(id: string): void;
}

function DeviceSelect({ label, devices, current, onChoose }: SelectProps) {
  const id = useId();
  const listed = devices.filter((device) => device.deviceId !== "default");
  const known = listed.some((device) => device.deviceId === current);
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <div className="select">
        <select
          id={id}
          key={known ? "known" : "default"}
          defaultValue={known ? current : ""}
          disabled={listed.length === 0}
          onChange={(event) => onChoose(event.target.value)}
        >
          <option value="">{listed.length === 0 ? say("device.none") : say("device.default")}</option>
          {listed.map((device, index) => (
            <option key={device.deviceId} value={device.deviceId}>
              {device.label || say("device.nth", { kind: label, n: index + 1 })}
            </option>
          ))}
        </select>
        <ChevronDown aria-hidden="true" />
      </div>
    </div>
  );
}
