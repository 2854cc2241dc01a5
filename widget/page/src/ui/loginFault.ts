/** Why a login failed, in words that have translations; pure over whatever was thrown. */
import { number, object, text } from "../core/json";

export type LoginFault = "wrong" | "limited" | "unreachable" | "unknown";

/** The SDK's errors carry `errcode` and `httpStatus`; without a status no homeserver answered. */
export function loginFault(error: unknown): LoginFault {
  const words = object(error);
  const errcode = text(words?.errcode);
  if (errcode === "M_FORBIDDEN" || errcode === "M_INVALID_USERNAME") return "wrong";
  if (errcode === "M_LIMIT_EXCEEDED") return "limited";
  const status = number(words?.httpStatus);
  if (errcode === undefined && (status === undefined || status >= 500)) return "unreachable";
  return "unknown";
}
