// Parts of the page whose code is loaded on demand, or in advance when the browser is idle.
import { type ComponentType, type ReactNode, useEffect } from "react";
import { reload } from "../api/build";
import { connection } from "../api/socket";
import { Store, useStore } from "../api/store";
import { Empty } from "./notes";

export interface Part<Props> {
  (props: Props): ReactNode;
  /** Load the code in advance; after a failure it is loaded on demand. */
  prefetch: () => Promise<void>;
}

interface Code<Props> {
  Loaded: ComponentType<Props> | null;
  failed: boolean;
}

interface Options {
  /** The placeholder until the code is loaded. */
  waiting: ReactNode;
  /** Whether the page has no other content. */
  isPage?: boolean;
}

/** A component that loads its code, with a button to try again after a failure. */
export function part<Props extends object>(
  load: () => Promise<{ default: ComponentType<Props> }>,
  { waiting, isPage = false }: Options,
): Part<Props> {
  const code = new Store<Code<Props>>({ Loaded: null, failed: false });
  const fetch = async () => code.set({ Loaded: (await load()).default, failed: false });
  const fetchOrReload = async (isForced: boolean) => {
    try {
      await fetch();
    } catch {
      code.patch({ failed: true });
      // Some browsers cache the failure to load a script until the page is reloaded.
      await reload({ isForced });
    }
  };

  function LazyPart(props: Props) {
    const { Loaded, failed } = useStore(code);
    const { epoch } = useStore(connection);
    // When mounted, and after each reconnect.
    useEffect(() => {
      if (!code.get().Loaded) void fetchOrReload(false);
    }, [epoch]);
    if (Loaded) return <Loaded {...props} />;
    return failed ? <Missing isPage={isPage} retry={() => void fetchOrReload(true)} /> : waiting;
  }

  return Object.assign(LazyPart, { prefetch: () => fetch().catch(() => undefined) });
}

const NOT_LOADED =
  "This part of the page has not been loaded yet. " +
  "It loads as soon as the server can be reached.";

function Missing({ isPage, retry }: { isPage: boolean; retry: () => void }) {
  const isOffline = useStore(connection).phase !== "live";
  return (
    <Empty
      isPage={isPage}
      title={
        isOffline ? "No connection to the server" : "This part of the page could not be loaded"
      }
    >
      <p role="alert">
        {isOffline
          ? NOT_LOADED
          : "The server responds, but it does not have this part of the page."}
      </p>
      <button type="button" onClick={retry}>
        Try again
      </button>
    </Empty>
  );
}
