/** The front page: which room? And for a demo, a way in with one click. */
import { ArrowRight, Video } from "lucide-react";
import { useState, type FormEvent } from "react";
import type { Config } from "../config";
import { readRoom, writeRoute } from "../core/route";
import type { Login } from "../matrix/login";
import { say } from "../strings";
import { LoginForm, serverName } from "./LoginForm";
import { Page } from "./Page";

interface Props {
  readonly config: Config;
  readonly login: Login | undefined;
  onLogin(login: Login): void;
  onLogout(): void;
}

export function Front({ config, login, onLogin, onLogout }: Props) {
  const { brand, homeserver, demo, room } = config;
  return (
    <Page brand={brand}>
      <div className="front-lead">
        <h1>{say("front.headline")}</h1>
        <p>{say("front.lead")}</p>
      </div>
      {demo && room && (
        <>
          <section className="card">
            <p>{say("front.demoLead")}</p>
            <a className="button" href={writeRoute(room, true)}>
              <Video aria-hidden="true" />
              {say("front.demo")}
            </a>
          </section>
          <p className="or">{say("front.or")}</p>
        </>
      )}
      {login ? (
        <section className="card">
          <RoomForm />
          <p className="who">
            {say("login.as", { user: login.userId })}
            <button type="button" className="link" onClick={onLogout}>
              {say("login.out")}
            </button>
          </p>
        </section>
      ) : (
        <section className="card">
          <h2>{say("login.title")}</h2>
          <p>{say("login.lead", { server: serverName(homeserver) })}</p>
          <LoginForm homeserver={homeserver} onLogin={onLogin} />
        </section>
      )}
    </Page>
  );
}

function RoomForm() {
  const [wrong, setWrong] = useState(false);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const room = readRoom(String(new FormData(event.currentTarget).get("room") ?? ""));
    if (room) location.hash = writeRoute(room, false);
    else setWrong(true);
  };
  return (
    <form className="form" onSubmit={submit}>
      <div className="field">
        <label htmlFor="room">{say("front.room")}</label>
        <input
          id="room"
          name="room"
          placeholder={say("front.roomHint")}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          aria-describedby="room-help"
          aria-invalid={wrong}
          onChange={() => setWrong(false)}
          required
        />
        <p id="room-help" className={wrong ? "fault" : "help"} role={wrong ? "alert" : undefined}>
          {say(wrong ? "front.roomWrong" : "front.roomHelp")}
        </p>
      </div>
      <button type="submit" className="button">
        {say("front.go")}
        <ArrowRight aria-hidden="true" />
      </button>
    </form>
  );
}
