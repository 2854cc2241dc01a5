/** Nobody else is here: the way to change that. */
import { Check, Link } from "lucide-react";
import { say } from "../strings";

export function Alone({ copied, onCopy }: { readonly copied: boolean; onCopy(): void }) {
  return (
    <section className="alone-place">
      <div className="alone">
        <div>
          <h2>{say("alone.title")}</h2>
          <p>{say("alone.body")}</p>
        </div>
        <button type="button" className="button" onClick={onCopy}>
          {copied ? <Check aria-hidden="true" /> : <Link aria-hidden="true" />}
          {say(copied ? "bar.copied" : "alone.copy")}
        </button>
      </div>
    </section>
  );
}
