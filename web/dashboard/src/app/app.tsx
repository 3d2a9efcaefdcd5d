// The frame of every page: header, banners, content and tab bar.
import { useEffect, useRef } from "react";
import { CoinsPage } from "../coins/page";
import { useIsDemo } from "../overview/store";
import { Boundary } from "../ui/boundary";
import { Empty } from "../ui/notes";
import { Banner } from "./banner";
import { Header, TabBar } from "./header";
import { CoinPage, RunsPage, SourcesPage } from "./pages";
import { Link, type Page, pageOf, paths, usePath } from "../navigation/router";

function title(page: Page): string {
  switch (page.name) {
    case "coin":
      return page.ticker;
    case "runs":
      return "Runs";
    case "run":
      return page.id.replace("_", " ");
    case "sources":
      return "Sources";
    case "missing":
      return "Not found";
    case "coins":
      return "Coins";
  }
}

export function App() {
  const path = usePath();
  const page = pageOf(path);
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  useEffect(() => {
    // Focus the new page for screen readers. After a load the browser announces the page itself.
    if (!first.current) main.current?.focus({ preventScroll: true });
    first.current = false;
  }, [path]);
  const isDemo = useIsDemo();
  useEffect(() => {
    document.title = `${isDemo ? "Demo - " : ""}${title(pageOf(path))} - Kasparro`;
  }, [path, isDemo]);
  return (
    <>
      <a className="skip" href="#main">
        Skip to content
      </a>
      <Header page={page} />
      <Banner />
      <main id="main" tabIndex={-1} ref={main}>
        <Boundary place={path}>
          <PageContent page={page} />
        </Boundary>
      </main>
      <TabBar page={page} />
    </>
  );
}

function PageContent({ page }: { page: Page }) {
  switch (page.name) {
    case "coins":
      return <CoinsPage />;
    case "coin":
      return <CoinPage key={page.ticker} ticker={page.ticker} />;
    case "runs":
      return <RunsPage />;
    case "run":
      return <RunsPage id={page.id} />;
    case "sources":
      return <SourcesPage />;
    case "missing":
      return (
        <Empty isPage title="Page not found">
          <p>
            <Link href={paths.coins}>All coins</Link>
          </p>
        </Empty>
      );
  }
}
