// The chart, whose code is a third of all, loaded when a coin is looked at or the browser is idle.
import { part } from "../ui/part";

export const Chart = part(() => import("./chart"), {
  waiting: <p className="chart-note faint">Loading the chart …</p>,
});
