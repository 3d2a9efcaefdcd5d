import { expect, test } from "vitest";
import { type Ending, resume } from "../src/api/resume";

class Over extends Error {}

/** Follow a stream whose connections bring these messages and end so; returns what was asked for, seen and waited for. */
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
      onceStanding: (action) => {
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

test("after a break it goes on from the last cursor, and nothing counts as lost", async () => {
  expect(
    await followed([
      [["a", "b"], "broken"],
      [["c"], "broken"],
    ]),
  ).toEqual(["gap", "from null", "a", "b", "pause 0", "from cursor of b", "c", "pause 0"]);
});

test("a cursor that the server no longer holds is given up, and the gap is told of", async () => {
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

test("attempts that bring nothing wait longer and keep the cursor", async () => {
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
