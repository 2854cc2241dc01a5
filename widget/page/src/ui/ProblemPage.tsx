/** What went wrong, what to do about it, and the button that does it. */
import { CircleAlert } from "lucide-react";
import { useState } from "react";
import { say } from "../strings";
import type { Explanation } from "./explain";
import { Page } from "./Page";

interface Props {
  readonly brand: string;
  readonly explanation: Explanation;
  /** May fail; then the reason is shown. */
  onAct?(kind: NonNullable<Explanation["act"]>["kind"]): void | Promise<void>;
  readonly home?: boolean;
}

export function ProblemPage({ brand, explanation, onAct, home = true }: Props) {
  const { title, body, act } = explanation;
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState("");
  const run = async () => {
    if (!act) return;
    setBusy(true);
    setFault("");
    try {
      await onAct?.(act.kind);
    } catch (error) {
      setFault(say("problem.notAllowed.failed", { detail: error instanceof Error ? error.message : String(error) }));
    }
    setBusy(false);
  };
  return (
    <Page brand={brand}>
      <section className="card problem" role="alert" data-problem>
        <CircleAlert aria-hidden="true" className="problem-icon" />
        <h1>{title}</h1>
        <p>{body}</p>
        {fault && <p className="fault">{fault}</p>}
        <div className="choices">
          {act && onAct && (
            <button type="button" className="button" disabled={busy} onClick={() => void run()}>
              {act.label}
            </button>
          )}
          {home && (
            <a className="button quiet" href="#/">
              {say("problem.home")}
            </a>
          )}
        </div>
      </section>
    </Page>
  );
}
