// Parts of the page whose code is loaded when they are wanted, or before, when there is nothing else to do.
import { type ComponentType, type ReactNode, useEffect } from "react";
import { reload } from "../api/build";
import { connection } from "../api/socket";
import { Store, useStore } from "../api/store";
import { Empty } from "./notes";

export interface Part<Props> {
  (props: Props): ReactNode;
  /** Load the code ahead; where that fails, it is loaded when it is wanted. */
  prefetch: () => Promise<void>;
}

interface Code<Props> {
  Loaded: ComponentType<Props> | null;
  failed: boolean;
}

interface Options {
  /** What is shown until the code is there. */
  waiting: ReactNode;
  /** Whether nothing else is on the page. */
  isPage?: boolean;
}

/** A component that loads its code, and offers to try again where it cannot be had. */
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
      // Some browsers remember that a script could not be loaded, until the page is loaded again.
      await reload({ isForced });
    }
  };

  function Shown(props: Props) {
    const { Loaded, failed } = useStore(code);
    const { epoch } = useStore(connection);
    // At first, and whenever the connection is back.
    useEffect(() => {
      if (!code.get().Loaded) void fetchOrReload(false);
    }, [epoch]);
    if (Loaded) return <Loaded {...props} />;
    return failed ? <Missing isPage={isPage} retry={() => void fetchOrReload(true)} /> : waiting;
  }

  return Object.assign(Shown, { prefetch: () => fetch().catch(() => undefined) });
}

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
          ? "This part of the page has not been loaded yet. It loads as soon as the server can be reached."
          : "The server responds, but it does not have this part of the page."}
      </p>
      <button type="button" onClick={retry}>
        Try again
      </button>
    </Empty>
  );
}
