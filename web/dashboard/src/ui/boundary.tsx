// Shows an error message if a part of the page cannot be rendered.
import { Component, type ReactNode } from "react";
import { Empty } from "./notes";

interface Props {
  /** The path of the page; a new path renders it again. */
  place: string;
  children: ReactNode;
}

interface State {
  error: unknown;
  failed: boolean;
}

export class Boundary extends Component<Props, State> {
  override state: State = { error: null, failed: false };

  static getDerivedStateFromError(error: unknown): State {
    return { error, failed: true };
  }

  override componentDidUpdate({ place }: Props): void {
    if (this.state.failed && place !== this.props.place) this.retry();
  }

  retry = (): void => this.setState({ error: null, failed: false });

  override render(): ReactNode {
    if (!this.state.failed) return this.props.children;
    const { error } = this.state;
    return (
      <Empty isPage title="This page could not be shown">
        <p role="alert">
          Error in the dashboard: {error instanceof Error ? error.message : String(error)}
        </p>
        <div className="ways">
          <button type="button" onClick={this.retry}>
            Try again
          </button>
          <button type="button" onClick={() => location.reload()}>
            Reload the page
          </button>
        </div>
      </Empty>
    );
  }
}
