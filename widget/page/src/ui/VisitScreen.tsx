/** A visit as it stands: the call, the problem that stopped it, or what comes after it. */
import { useEffect } from "react";
import { say } from "../strings";
import { CallScreen } from "./CallScreen";
import { explain, type Explanation } from "./explain";
import { Left } from "./Left";
import { ProblemPage } from "./ProblemPage";
import { roomLabel } from "./roomLabel";
import { useStore } from "./useStore";
import { endVisit, type Visit } from "./visit";

interface Props {
  readonly visit: Visit;
  readonly brand: string;
  onRejoin(): void;
  /** The login is no longer good: get another. */
  onLogin(): void;
}

export function VisitScreen({ visit, brand, onRejoin, onLogin }: Props) {
  const { phase, problem, roomName } = useStore(visit.call.store);
  const room = roomLabel(roomName, visit.room);
  useEffect(() => {
    if (phase === "left") visit.media.stop();
  }, [phase, visit]);
  if (phase === "left") return <Left brand={brand} room={room} onRejoin={onRejoin} />;
  if (phase !== "stopped") return <CallScreen visit={visit} brand={brand} onLeave={() => endVisit(visit)} />;
  const act = (kind: NonNullable<Explanation["act"]>["kind"]) => {
    if (kind === "allow") return visit.call.allow();
    if (kind === "login") return onLogin();
    visit.call.retry();
  };
  const what = explain(problem ?? { kind: "unknown", detail: "" }, room ?? say("room.this"), say);
  return <ProblemPage brand={brand} explanation={what} onAct={act} />;
}
