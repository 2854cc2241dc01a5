/** A round control with an icon, a label for those who do not see it, and a tooltip for those who do. */
import type { LucideIcon } from "lucide-react";
import type { ComponentPropsWithRef } from "react";
import { say } from "../strings";
import { Tip } from "./Tip";

interface Props extends ComponentPropsWithRef<"button"> {
  readonly icon: LucideIcon;
  readonly label: string;
  readonly hotkey?: string;
  /** `off`: something of ours is silent or dark; `on`: something is being shown; `end`: leaves. */
  readonly tone?: "off" | "on" | "end" | undefined;
}

export function BarButton({ icon: Icon, label, hotkey, tone, ...rest }: Props) {
  return (
    <Tip text={label} hotkey={hotkey}>
      <button
        type="button"
        className="bar-button"
        data-tone={tone}
        aria-label={label}
        aria-keyshortcuts={hotkey}
        aria-description={hotkey && say("bar.key", { key: hotkey.toUpperCase() })}
        {...rest}
      >
        <Icon aria-hidden="true" />
      </button>
    </Tip>
  );
}
