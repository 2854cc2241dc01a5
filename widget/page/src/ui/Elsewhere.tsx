/** Another tab uses the kept login: wait for it, or log in for this tab alone. */
import { useState } from "react";
import type { Login } from "../matrix/login";
import { say } from "../strings";
import { LoginForm, serverName } from "./LoginForm";
import { Page } from "./Page";

interface Props {
  readonly brand: string;
  readonly homeserver: string;
  onAgain(): void;
  onSeparate(login: Login): void;
}

export function Elsewhere({ brand, homeserver, onAgain, onSeparate }: Props) {
  const [separate, setSeparate] = useState(false);
  return (
    <Page brand={brand}>
      <section className="card">
        <h1>{say("tab.title", { brand })}</h1>
        <p>{separate ? say("tab.separateLead", { server: serverName(homeserver) }) : say("tab.body")}</p>
        {separate ? (
          <LoginForm homeserver={homeserver} separate onLogin={onSeparate} />
        ) : (
          <div className="choices">
            <button type="button" className="button" onClick={onAgain}>
              {say("tab.again")}
            </button>
            <button type="button" className="button quiet" onClick={() => setSeparate(true)}>
              {say("tab.separate")}
            </button>
          </div>
        )}
      </section>
    </Page>
  );
}
