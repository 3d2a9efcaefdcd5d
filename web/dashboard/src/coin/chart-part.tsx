// The chart, loaded when a coin is opened or the browser is idle: it is a third of all code.
import { part } from "../ui/part";

export const Chart = part(() => import("./chart"), {
  waiting: <p className="chart-note faint">Loading the chart …</p>,
});
