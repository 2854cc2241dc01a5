/** User name and password, and what went wrong with them. */
import { useState, type FormEvent } from "react";
import { passwordLogin, type Login } from "../matrix/login";
import { say } from "../strings";
import { loginFault } from "./loginFault";

interface Props {
  readonly homeserver: string;
  /** For this tab alone: keys stay in memory, nothing is kept. */
  readonly separate?: boolean;
  onLogin(login: Login): void;
}

export function LoginForm({ homeserver, separate = false, onLogin }: Props) {
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState("");
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const words = new FormData(event.currentTarget);
    const [user, password] = [String(words.get("user") ?? "").trim(), String(words.get("password") ?? "")];
    if (!user || !password) return;
    setBusy(true);
    setFault("");
    try {
      onLogin(await passwordLogin(homeserver, user, password, separate));
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      setFault(say(`login.${loginFault(error)}`, { server: serverName(homeserver), detail }));
      setBusy(false);
    }
  };
  return (
    <form className="form" onSubmit={(event) => void submit(event)}>
      <div className="field">
        <label htmlFor="user">{say("login.user")}</label>
        <input id="user" name="user" autoComplete="username" autoCapitalize="none" spellCheck={false} required />
      </div>
      <div className="field">
        <label htmlFor="password">{say("login.password")}</label>
        <input id="password" name="password" type="password" autoComplete="current-password" required />
      </div>
      <p className="fault" role="alert">
        {fault}
      </p>
      <button type="submit" className="button" disabled={busy}>
        {say(busy ? "login.busy" : "login.submit")}
      </button>
    </form>
  );
}

/** A homeserver as a person knows it. */
export function serverName(homeserver: string): string {
  return homeserver.replace(/^https?:\/\//, "");
}
