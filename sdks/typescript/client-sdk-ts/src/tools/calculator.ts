import type { Tool } from "../types/tool.js";
import { textArgument, textParameters } from "./arguments.js";
import { evalExpression } from "./eval-expression.js";

/** A tool: the value of an arithmetic expression, as `{ result }`. */
export function calculator(): Tool {
  return {
    name: "calculator",
    description: "Work out an arithmetic expression with + - * / %, parentheses and decimal numbers.",
    parameters: textParameters({ expression: "The expression, such as (2 + 3) * 4." }, ["expression"]),
    execute(input) {
      const expression = textArgument("calculator", input, "expression");
      try {
        return { result: evalExpression(expression) };
      } catch (error) {
        throw new Error(`calculator: ${(error as Error).message}`);
      }
    },
  };
}
