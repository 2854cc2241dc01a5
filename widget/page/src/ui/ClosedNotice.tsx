/** An admin is in a call that the others may not join, and can let them. */
import { useState } from "react";
import { say } from "../strings";
import { Notice } from "./Notices";

export function ClosedNotice({ allow }: { allow(): Promise<void> }) {
  const [dismissed, setDismissed] = useState(false);
  const [fault, setFault] = useState("");
  if (dismissed) return null;
  const run = () => {
    setFault("");
    allow().catch((error: unknown) => {
      setFault(say("problem.notAllowed.failed", { detail: error instanceof Error ? error.message : String(error) }));
    });
  };
  return (
    <Notice text={fault || say("closed.body")} onDismiss={() => setDismissed(true)}>
      <button type="button" className="notice-act" onClick={run}>
        {say("closed.allow")}
      </button>
    </Notice>
  );
}
