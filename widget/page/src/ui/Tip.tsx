/** A tooltip on a control, with its key. It repeats the control's label for the eye only. */
import { Tooltip } from "radix-ui";
import type { ReactElement } from "react";

interface Props {
  readonly text: string;
  readonly hotkey?: string | undefined;
  readonly children: ReactElement;
}

export function Tip({ text, hotkey, children }: Props) {
  return (
    <Tooltip.Root>
      <Tooltip.Trigger asChild>{children}</Tooltip.Trigger>
      <Tooltip.Portal>
        <Tooltip.Content className="tip" sideOffset={8} collisionPadding={8} aria-hidden="true">
          {text}
          {hotkey && <kbd>{hotkey.toUpperCase()}</kbd>}
        </Tooltip.Content>
      </Tooltip.Portal>
    </Tooltip.Root>
  );
}
