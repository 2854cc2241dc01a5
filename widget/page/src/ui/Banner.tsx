/** Where the connection stands, at the top of the stage, as long as it is not simply good. */
import { LoaderCircle } from "lucide-react";
import { useEffect, useState } from "react";
import type { CallState } from "../call/state";
import { say } from "../strings";

/** Most connections take less than this; a reason would only alarm. */
const PATIENCE = 3_000;

export function Banner({ state }: { readonly state: CallState }) {
  const { phase, delay } = state;
  const waiting = phase === "entering" || phase === "connecting" || phase === "reconnecting";
  const told = useLater(waiting ? delay : undefined);
  return (
    <div className="banner-place" role="status" aria-live="polite">
      {waiting && (
        <div className="banner" data-phase={phase}>
          <LoaderCircle className="spinner" aria-hidden="true" />
          <div>
            <strong>{say(`phase.${phase}`)}</strong>
            {told && <p>{say(`delay.${told}`, { focus: state.focusUser })}</p>}
          </div>
        </div>
      )}
    </div>
  );
}

/** A value once it has lasted a while; its absence at once. */
function useLater<T>(value: T | undefined): T | undefined {
  const [lasting, setLasting] = useState<T>();
  useEffect(() => {
    if (value === undefined) return setLasting(undefined);
    const timer = setTimeout(() => setLasting(value), PATIENCE);
    return () => clearTimeout(timer);
  }, [value]);
  return value === undefined ? undefined : lasting;
}
