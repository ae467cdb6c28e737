import type { Tool } from "../types/tool.js";
import { optionalTextArgument, textParameters } from "./arguments.js";

/** A tool: the time in a time zone, as `{ datetime, timezone, unix }`; `unix` is seconds. */
export function dateTime(): Tool {
  return {
    name: "datetime",
    description: "Tell the current date and time in a time zone.",
    parameters: textParameters({ timezone: "An IANA time zone, such as Europe/Berlin; UTC where it is left out." }, []),
    execute(input) {
      const timezone = optionalTextArgument("datetime", input, "timezone") || "UTC";
      const now = new Date();
      return { datetime: localTime(now, timezone), timezone, unix: Math.floor(now.getTime() / 1000) };
    },
  };
}

/** `YYYY-MM-DD HH:MM:SS` of the zone.. */
function localTime(time: Date, timeZone: string): string {
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone,
      calendar: "gregory",
      numberingSystem: "latn",
      hourCycle: "h23",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
    });
  } catch {
    throw new Error(`datetime: invalid timezone ${JSON.stringify(timeZone.slice(0, 100))}`);
  }
  const part: Record<string, string> = {};
  for (const { type, value } of format.formatToParts(time)) part[type] = value;
  return `${part["year"]}-${part["month"]}-${part["day"]} ${part["hour"]}:${part["minute"]}:${part["second"]}`;
}
