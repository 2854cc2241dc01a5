/**
 * Texts to sentences: fills in words and picks plural forms. Pure; which language is the caller's.
 */
import { en } from "./en";

export type Key = keyof typeof en;
type Plural = { readonly other: string } & Partial<Record<Intl.LDMLPluralRule, string>>;
/** The same keys in every language; plural forms where the English has them. */
export type Texts = { readonly [K in Key]: (typeof en)[K] extends string ? string : Plural };
export type Words = Readonly<Record<string, string | number>>;
export type Say = (key: Key, words?: Words) => string;

/** The first of the wanted languages (BCP 47, best first) that there are texts for, else the fallback. */
export function chooseLanguage<L extends string>(wanted: readonly string[], known: readonly L[], fallback: L): L {
  for (const tag of wanted) {
    const primary = tag.toLowerCase().split("-")[0];
    const found = known.find((language) => language === primary);
    if (found) return found;
  }
  return fallback;
}

/** A speaker of one language. */
export function speaker(language: string, texts: Texts): Say {
  const plurals = new Intl.PluralRules(language);
  const numbers = new Intl.NumberFormat(language);
  return (key, words = {}) => {
    const entry: string | Plural = texts[key];
    const text = typeof entry === "string" ? entry : (entry[plurals.select(Number(words.n ?? 0))] ?? entry.other);
    return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
      const word = words[name];
      if (word === undefined) return whole;
      return typeof word === "number" ? numbers.format(word) : word;
    });
  };
}
