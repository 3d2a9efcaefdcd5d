// The pages whose code is loaded separately from the overview.
import { createElement } from "react";
import { Chart } from "../coin/chart-part";
import { whenIdle } from "../ui/idle";
import { Waiting } from "../ui/notes";
import { part } from "../ui/part";

const options = { waiting: createElement(Waiting), isPage: true };

export const CoinPage = part(() => import("../coin/page"), options);
export const RunsPage = part(() => import("../runs/page"), options);
export const SourcesPage = part(() => import("../sources/page"), options);

/** Load the code of all pages in advance, before the server goes offline or is upgraded. */
export function prefetchPages(): void {
  void whenIdle([CoinPage, RunsPage, SourcesPage, Chart].map(({ prefetch }) => prefetch));
}
