import { expect, test } from "vitest";
import { type Ending, resume } from "../src/api/resume";

class Over extends Error {}

/** Follow a stream with these messages and endings; returns its cursors, messages and pauses. */
async function followed(connections: [messages: string[], ending: Ending][]) {
  const log: string[] = [];
  const left = [...connections];
  const following = resume<string>(
    {
      subscribe: (after, onMessage) => {
        log.push(`from ${after}`);
        const [messages, ending] = left.shift() ?? [[], "broken"];
        messages.forEach(onMessage);
        return Promise.resolve(ending);
      },
      onceSubscribed: (action) => {
        action();
        return () => undefined;
      },
      pause: (attempt) => {
        log.push(`pause ${attempt}`);
        return left.length === 0 ? Promise.reject(new Over()) : Promise.resolve();
      },
    },
    {
      onMessage: (message) => {
        log.push(message);
        return `cursor of ${message}`;
      },
      onGap: () => log.push("gap"),
    },
  );
  await expect(following).rejects.toThrow(Over);
  return log;
}

test("after an interruption it resumes from the last cursor without a gap", async () => {
  expect(
    await followed([
      [["a", "b"], "broken"],
      [["c"], "broken"],
    ]),
  ).toEqual(["gap", "from null", "a", "b", "pause 0", "from cursor of b", "c", "pause 0"]);
});

test("a cursor that the server refuses is dropped, and the gap is reported", async () => {
  expect(
    await followed([
      [["a"], "broken"],
      [[], "refused"],
      [["b"], "broken"],
    ]),
  ).toEqual([
    "gap",
    "from null",
    "a",
    "pause 0",
    "from cursor of a",
    "pause 1",
    "gap",
    "from null",
    "b",
    "pause 0",
  ]);
});

test("attempts without a message wait longer and keep the cursor", async () => {
  expect(
    await followed([
      [["a"], "broken"],
      [[], "broken"],
      [[], "broken"],
    ]),
  ).toEqual([
    "gap",
    "from null",
    "a",
    "pause 0",
    "from cursor of a",
    "pause 1",
    "from cursor of a",
    "pause 2",
  ]);
});
