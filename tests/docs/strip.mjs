// Takes the types out of a block of TypeScript: node strip.mjs NODE_MODULES INPUT OUTPUT
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const [modules, input, output] = process.argv.slice(2);
const ts = createRequire(`${modules}/x.js`)("typescript");
const options = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true };
const made = ts.transpileModule(readFileSync(input, "utf8"), { compilerOptions: options, reportDiagnostics: true });
if (made.diagnostics.length) throw new Error(made.diagnostics.map((d) => ts.flattenDiagnosticMessageText(d.messageText, "\n")).join("\n"));
writeFileSync(output, made.outputText);
