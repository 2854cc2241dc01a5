/** The controls below the stage: always in view, the rarer ones behind "More" where there is little room. */
import { Ellipsis, PhoneOff } from "lucide-react";
import { DropdownMenu } from "radix-ui";
import { say } from "../strings";
import type { Act } from "./acts";
import { BarButton } from "./BarButton";
import { useMedia } from "./useBrowser";

interface Props {
  readonly acts: readonly Act[];
  onLeave(): void;
}

const MAIN: readonly Act["name"][] = ["mic", "camera", "share"];
export const NARROW = "(max-width: 599px)";

export function Bar({ acts, onLeave }: Props) {
  const narrow = useMedia(NARROW);
  const main = acts.filter((act) => MAIN.includes(act.name));
  const rest = acts.filter((act) => !MAIN.includes(act.name));
  return (
    <>
      <div className="bar-main" role="toolbar" aria-label={say("bar.label")}>
        {main.map((act) => (
          <ActButton key={act.name} act={act} />
        ))}
        {narrow && <More acts={rest} />}
        <BarButton icon={PhoneOff} label={say("bar.leave")} tone="end" onClick={onLeave} />
      </div>
      {!narrow && (
        <div className="bar-rest">
          {rest.map((act) => (
            <ActButton key={act.name} act={act} />
          ))}
        </div>
      )}
    </>
  );
}

function ActButton({ act }: { readonly act: Act }) {
  const hotkey = act.hotkey === undefined ? {} : { hotkey: act.hotkey };
  return <BarButton icon={act.icon} label={act.label} tone={act.tone} data-act={act.name} onClick={act.run} {...hotkey} />;
}

function More({ acts }: { readonly acts: readonly Act[] }) {
  return (
    <DropdownMenu.Root>
      <DropdownMenu.Trigger asChild>
        <button type="button" className="bar-button" aria-label={say("bar.more")}>
          <Ellipsis aria-hidden="true" />
        </button>
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content className="menu" side="top" sideOffset={10} collisionPadding={12}>
          {acts.map((act) => (
            <DropdownMenu.Item key={act.name} className="menu-item" onSelect={act.run}>
              <act.icon aria-hidden="true" />
              {act.label}
            </DropdownMenu.Item>
          ))}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}
