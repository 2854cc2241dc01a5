/** The address of this call to the clipboard. Where that is refused, the person gets to see it. */
import { useEffect, useState } from "react";

export type Copied = "no" | "yes" | "refused";

/** How long the success is shown. */
const SHOWN = 2_500;

export function useCopy(): { copied: Copied; copy: () => void; clear: () => void } {
  const [copied, setCopied] = useState<Copied>("no");
  useEffect(() => {
    if (copied !== "yes") return;
    const timer = setTimeout(() => setCopied("no"), SHOWN);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = () => {
    const writing = navigator.clipboard?.writeText(location.href) ?? Promise.reject(new Error("no clipboard"));
    writing.then(
      () => setCopied("yes"),
      () => setCopied("refused"),
    );
  };
  return { copied, copy, clear: () => setCopied("no") };
}
