/**
 * A problem to a sentence that a person understands, and what they can do: pure.
 *
 * `act` says what the button does; what cannot be helped from here has only the way home.
 */
import type { Problem } from "../call/state";
import type { Key, Say, Words } from "../strings/say";

export interface Explanation {
  readonly title: string;
  readonly body: string;
  readonly act: { readonly kind: "retry" | "allow" | "login"; readonly label: string } | undefined;
}

export function explain(problem: Problem, room: string, say: Say): Explanation {
  const words = { room };
  const told = (body: Key, act: Explanation["act"], more: Words = words): Explanation => ({
    title: say(`problem.${problem.kind}.title`),
    body: say(body, more),
    act,
  });
  const retry = (label: Key): Explanation["act"] => ({ kind: "retry", label: say(label) });
  switch (problem.kind) {
    case "notAllowed":
      return problem.mayAllow
        ? told("problem.notAllowed.may", { kind: "allow", label: say("problem.notAllowed.allow") })
        : told("problem.notAllowed.mayNot", retry("problem.again"));
    case "loggedOut":
      return told("problem.loggedOut.body", { kind: "login", label: say("problem.loggedOut.login") });
    case "banned":
    case "serverDenied":
    case "browser":
      return told(`problem.${problem.kind}.body`, undefined);
    case "noRoom":
    case "homeserver":
      return told(`problem.${problem.kind}.body`, retry("problem.again"));
    case "removed":
    case "replaced":
    case "otherDevice":
    case "callEnded":
      return told(`problem.${problem.kind}.body`, retry(`problem.${problem.kind}.again`));
    case "unknown":
      return told("problem.unknown.body", retry("problem.again"), { detail: problem.detail });
  }
}
