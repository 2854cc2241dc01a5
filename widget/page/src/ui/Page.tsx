/** A calm page with one card: everything that is not the call itself. */
import type { ReactNode } from "react";

interface Props {
  readonly brand: string;
  readonly wide?: boolean;
  readonly children: ReactNode;
}

export function Page({ brand, wide = false, children }: Props) {
  return (
    <div className="page">
      <header className="page-brand">
        <a href="#/">
          <img src="./weir.svg" alt="" width="32" height="32" />
          <span>{brand}</span>
        </a>
      </header>
      <main className="page-body" data-wide={wide}>
        {children}
      </main>
    </div>
  );
}

/** While something small is awaited. */
export function Waiting({ brand, text }: { readonly brand: string; readonly text: string }) {
  return (
    <Page brand={brand}>
      <p className="waiting" role="status">
        {text}
      </p>
    </Page>
  );
}
