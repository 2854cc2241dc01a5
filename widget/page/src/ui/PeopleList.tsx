/** How many people are in the call, and on a click who. */
import { MicOff, MonitorUp, Users } from "lucide-react";
import { Popover } from "radix-ui";
import { say } from "../strings";
import type { Person } from "./tiles";

export function PeopleList({ people }: { readonly people: readonly Person[] }) {
  const count = say("people.count", { n: people.length });
  return (
    <Popover.Root>
      <Popover.Trigger className="people-count" aria-label={count}>
        <Users aria-hidden="true" />
        <span>{people.length}</span>
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Content className="popover" sideOffset={10} collisionPadding={12} align="start">
          <h2>{say("people.title")}</h2>
          <ul>
            {people.map((person) => (
              <li key={person.key}>
                <span>{person.own ? say("people.you", { name: person.name }) : person.name}</span>
                {person.sharing && <MonitorUp aria-hidden="true" />}
                {person.muted && <MicOff role="img" aria-label={say("tile.muted")} />}
              </li>
            ))}
          </ul>
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  );
}
