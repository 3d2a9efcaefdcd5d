// The chart. Only this module imports lightweight-charts.
import {
  CandlestickSeries,
  ColorType,
  createChart,
  type IChartApi,
  type ISeriesApi,
  LineSeries,
  type UTCTimestamp,
} from "lightweight-charts";
import { type KeyboardEvent, useEffect, useEffectEvent, useImperativeHandle, useRef } from "react";
import { priceText } from "../format/number";
import { onColoursChange } from "../ui/theme";
import type { Candle } from "./documents";

export type Shape = "candles" | "line";

export interface ChartHandle {
  zoom: (factor: number) => void;
  fit: () => void;
}

interface ChartProps {
  candles: readonly Candle[];
  shape: Shape;
  label: string;
  onOlder: () => void;
  ref: React.Ref<ChartHandle>;
}

type Series = ISeriesApi<"Candlestick"> | ISeriesApi<"Line">;

// Older candles are loaded when fewer bars than this are left of the view.
const OLDER_BARS = 20;
const SHOWN_BARS = 120;
const AXIS_DIGITS = 7;
const STEP_BARS = 5;

export default function Chart({ candles, shape, label, onOlder, ref }: ChartProps) {
  const container = useRef<HTMLDivElement>(null);
  const chart = useRef<IChartApi>(null);
  const loadOlder = useEffectEvent(onOlder);
  // The library rounds to a smallest move, and 4e-18 is below it: scale such prices up.
  const scale = scaleOf(candles);

  useEffect(() => {
    if (!container.current) return;
    // The logo would need a style element, which the content security policy forbids. A link below
    // the chart replaces it.
    const created = createChart(container.current, {
      autoSize: true,
      layout: { attributionLogo: false },
    });
    chart.current = created;
    created.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      if (range && range.from < OLDER_BARS) loadOlder();
    });
    return () => {
      chart.current = null;
      created.remove();
    };
  }, []);

  const series = useSeries(chart, shape, scale);
  useCandleData(candles, scale, shape, chart, series);

  useImperativeHandle(
    ref,
    () => ({
      zoom: (factor) => zoomBy(chart.current, factor),
      fit: () => chart.current?.timeScale().fitContent(),
    }),
    [],
  );
  return (
    <div
      className="chart"
      ref={container}
      tabIndex={0}
      role="application"
      aria-label={label}
      onKeyDown={(event) => chart.current && moveBy(event, chart.current)}
    />
  );
}

/** The series of the chart, created again when the shape or the scale changes. */
function useSeries(chart: React.RefObject<IChartApi | null>, shape: Shape, scale: number) {
  const series = useRef<Series>(null);
  useEffect(() => {
    const drawn = chart.current;
    if (!drawn) return;
    const added: Series =
      shape === "candles" ? drawn.addSeries(CandlestickSeries) : drawn.addSeries(LineSeries);
    series.current = added;
    added.applyOptions({
      priceFormat: {
        type: "custom",
        minMove: 0.00001,
        formatter: (value: number) => priceText(String(value / scale), AXIS_DIGITS),
      },
    });
    const applyTheme = () => applyColours(drawn, added);
    applyTheme();
    const stop = onColoursChange(applyTheme);
    // Removing a chart also removes its series.
    const remove = () => {
      if (chart.current === drawn) drawn.removeSeries(added);
    };
    return () => {
      stop();
      remove();
    };
  }, [chart, shape, scale]);
  return series;
}

/** Scroll and zoom with the keyboard. */
function moveBy(event: KeyboardEvent, chart: IChartApi): void {
  const time = chart.timeScale();
  const actions: Record<string, () => void> = {
    ArrowLeft: () => time.scrollToPosition(time.scrollPosition() - STEP_BARS, false),
    ArrowRight: () => time.scrollToPosition(time.scrollPosition() + STEP_BARS, false),
    "+": () => zoomBy(chart, 0.7),
    "-": () => zoomBy(chart, 1.4),
    "0": () => time.fitContent(),
  };
  const action = actions[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

/** Draw new candles and keep the visible range. */
function useCandleData(
  candles: readonly Candle[],
  scale: number,
  shape: Shape,
  chart: React.RefObject<IChartApi | null>,
  series: React.RefObject<Series | null>,
) {
  const shown = useRef(0);
  const firstStart = useRef<string>(undefined);
  useEffect(() => {
    const drawn = chart.current;
    if (!drawn) return;
    const time = drawn.timeScale();
    const range = time.getVisibleLogicalRange();
    const added = candles.findIndex(({ start }) => start === firstStart.current);
    setData(series.current, shape, candles, scale);
    if (shown.current === 0 && candles.length > 0) {
      time.setVisibleLogicalRange({
        from: Math.max(-2, candles.length - SHOWN_BARS),
        to: candles.length + 2,
      });
    } else if (range && added > 0) {
      time.setVisibleLogicalRange({ from: range.from + added, to: range.to + added });
    }
    shown.current = candles.length;
    firstStart.current = candles[0]?.start;
  }, [candles, scale, shape, chart, series]);
}

function setData(
  series: Series | null,
  shape: Shape,
  candles: readonly Candle[],
  scale: number,
): void {
  const time = (candle: Candle) => (Date.parse(candle.start) / 1_000) as UTCTimestamp;
  if (shape === "line") {
    (series as ISeriesApi<"Line"> | null)?.setData(
      candles.map((candle) => ({ time: time(candle), value: Number(candle.close) * scale })),
    );
    return;
  }
  (series as ISeriesApi<"Candlestick"> | null)?.setData(
    candles.map((candle) => ({
      time: time(candle),
      open: Number(candle.open) * scale,
      high: Number(candle.high) * scale,
      low: Number(candle.low) * scale,
      close: Number(candle.close) * scale,
    })),
  );
}

/** The power of ten that scales prices below one to between one and ten. */
function scaleOf(candles: readonly Candle[]): number {
  const price = Number(candles[0]?.close ?? 1);
  return price > 0 && price < 1 ? 10 ** -Math.floor(Math.log10(price)) : 1;
}

function zoomBy(chart: IChartApi | null, factor: number): void {
  const time = chart?.timeScale();
  const range = time?.getVisibleLogicalRange();
  if (!time || !range) return;
  time.setVisibleLogicalRange({ from: range.to - (range.to - range.from) * factor, to: range.to });
}

/** The value of a CSS variable in the current theme, because a canvas cannot use variables. */
function resolveColour(name: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

function applyColours(chart: IChartApi, series: Series): void {
  const [ground, faint, line, up, down, accent] = [
    "--paper",
    "--faint",
    "--line",
    "--up",
    "--down",
    "--accent",
  ].map(resolveColour) as [string, string, string, string, string, string];
  chart.applyOptions({
    layout: {
      background: { type: ColorType.Solid, color: ground },
      textColor: faint,
      fontFamily: getComputedStyle(document.body).fontFamily,
      fontSize: 11,
    },
    grid: { vertLines: { color: line }, horzLines: { color: line } },
    rightPriceScale: { borderColor: line },
    timeScale: { borderColor: line, timeVisible: true, secondsVisible: false },
  });
  if (series.seriesType() === "Line") {
    (series as ISeriesApi<"Line">).applyOptions({ color: accent, lineWidth: 2 });
  } else {
    (series as ISeriesApi<"Candlestick">).applyOptions({
      upColor: up,
      downColor: down,
      wickUpColor: up,
      wickDownColor: down,
      borderVisible: false,
    });
  }
}
