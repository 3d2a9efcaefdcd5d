import { ROOT } from "../api/root";
import { connection } from "../api/socket";
import { useStore } from "../api/store";
import { useIsDemo } from "../overview/store";
import { CoinsIcon, Mark, MoonIcon, RunsIcon, SourcesIcon, SunIcon, SystemIcon } from "../ui/icons";
import { nextTheme, theme } from "../ui/theme";
import { Link, type Page, paths } from "../navigation/router";

const PAGES = [
  { label: "Coins", href: paths.coins, icon: <CoinsIcon />, names: ["coins", "coin"] },
  { label: "Runs", href: paths.runs, icon: <RunsIcon />, names: ["runs", "run"] },
  { label: "Sources", href: paths.sources, icon: <SourcesIcon />, names: ["sources"] },
];

export function Header({ page }: { page: Page }) {
  return (
    <header className="top">
      <Link className="brand" href={paths.coins}>
        <Mark />
        <span>Kasparro</span>
      </Link>
      <DemoMark />
      <nav aria-label="Pages" className="page-links">
        <PageLinks page={page} />
      </nav>
      <div className="right">
        <nav aria-label="Interfaces" className="interfaces">
          <a href={`${ROOT}/graphql`}>GraphQL</a>
          <a href={`${ROOT}/docs`}>REST</a>
        </nav>
        <LiveSign />
        <ThemeButton />
      </div>
    </header>
  );
}

/** The links to the pages at the bottom of a phone's screen. */
export function TabBar({ page }: { page: Page }) {
  return (
    <nav aria-label="Pages" className="tabs">
      <PageLinks page={page} />
    </nav>
  );
}

function PageLinks({ page }: { page: Page }) {
  return PAGES.map(({ label, href, icon, names }) => (
    <Link key={href} href={href} aria-current={names.includes(page.name) ? "page" : undefined}>
      {icon}
      {label}
    </Link>
  ));
}

function DemoMark() {
  if (!useIsDemo()) return null;
  return (
    <strong className="demo">
      Demo<span className="demo-why">: made-up prices</span>
    </strong>
  );
}

const SIGNS = { live: "Live", connecting: "Connecting", offline: "Offline" };

function LiveSign() {
  const { phase } = useStore(connection);
  return (
    <span className={`sign ${phase}`} role="status">
      <span className="dot" aria-hidden="true" />
      {SIGNS[phase]}
    </span>
  );
}

const THEMES = {
  system: { icon: <SystemIcon />, label: "Theme: system. Switch to light" },
  light: { icon: <SunIcon />, label: "Theme: light. Switch to dark" },
  dark: { icon: <MoonIcon />, label: "Theme: dark. Switch to system" },
};

function ThemeButton() {
  const { icon, label } = THEMES[useStore(theme)];
  return (
    <button
      type="button"
      className="icon-button"
      aria-label={label}
      title={label}
      onClick={nextTheme}
    >
      {icon}
    </button>
  );
}
