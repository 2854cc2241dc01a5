/** Small messages above the controls: devices that fail, sound that waits for a click, links that were copied. */
import { CircleAlert, Volume2, X } from "lucide-react";
import { useState, type ReactNode } from "react";
import type { LocalMedia } from "../media/local";
import type { MediaProblem } from "../media/problem";
import { say } from "../strings";
import type { Sound } from "./sound";
import { useStore } from "./useStore";

interface Props {
  readonly media: LocalMedia;
}

type Side = "both" | "camera" | "mic" | "share";

export function MediaNotices({ media }: Props) {
  const { mic, camera, share, shareProblem } = useStore(media.store);
  const [dismissed, setDismissed] = useState<ReadonlySet<string>>(new Set());
  const both = camera.problem === mic.problem;
  const found: readonly (readonly [Side, MediaProblem | undefined])[] = [
    ["both", both ? camera.problem : undefined],
    ["camera", both ? undefined : camera.problem],
    ["mic", both ? undefined : mic.problem],
    ["share", share ? undefined : shareProblem],
  ];
  const retry = (side: Side) => {
    if (side === "share") return void media.share();
    if (side !== "mic") void media.setCamera(true);
    if (side !== "camera") void media.setMic(true);
  };
  return found.map(([side, problem]) => {
    const name = `${side}.${problem}`;
    if (!problem || dismissed.has(name)) return null;
    const dismiss = () => setDismissed((old) => new Set(old).add(name));
    return (
      <Notice key={side} text={say(`media.${side}.${problem}`)} onDismiss={dismiss}>
        {problem !== "insecure" && (
          <button type="button" className="notice-act" onClick={() => retry(side)}>
            {say("media.again")}
          </button>
        )}
      </Notice>
    );
  });
}

/** The browser plays no voice before a click: here is the thing to click. */
export function SoundNotice({ sound }: { readonly sound: Sound }) {
  const { blocked } = useStore(sound.store);
  if (!blocked) return null;
  return (
    <Notice icon={<Volume2 aria-hidden="true" />} text={say("sound.blocked")}>
      <button type="button" className="notice-act" onClick={sound.resume}>
        {say("sound.hear")}
      </button>
    </Notice>
  );
}

interface NoticeProps {
  readonly text: string;
  readonly icon?: ReactNode;
  readonly children?: ReactNode;
  onDismiss?(): void;
}

export function Notice({ text, icon, children, onDismiss }: NoticeProps) {
  return (
    <div className="notice" role="status">
      {icon ?? <CircleAlert aria-hidden="true" />}
      <p>{text}</p>
      {children}
      {onDismiss && (
        <button type="button" className="notice-close" aria-label={say("media.dismiss")} onClick={onDismiss}>
          <X aria-hidden="true" />
        </button>
      )}
    </div>
  );
}
