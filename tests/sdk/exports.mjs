// Prints what an entry of a built package exports, as {name: kind}: node exports.mjs PACKAGE_FOLDER ENTRY
// The types are read by the compiler that built them, and the values must be there when the entry is imported.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, entry] = process.argv.slice(2);
const ts = createRequire(resolve(folder, "package.json"))("typescript");
const declared = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).exports[entry];
const types = resolve(folder, declared.types);
const values = await import(pathToFileURL(resolve(folder, declared.import ?? declared.default)).href);

const program = ts.createProgram([types], {
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  target: ts.ScriptTarget.ES2022,
  skipLibCheck: true,
});
const checker = program.getTypeChecker();

function kindOf(symbol) {
  const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
  if (target.flags & ts.SymbolFlags.Class) return "class";
  if (target.flags & ts.SymbolFlags.Enum) return "enum";
  if (target.flags & ts.SymbolFlags.Function) return "function";
  if (target.flags & ts.SymbolFlags.Variable) return "const";
  return "type";
}

const found = {};
for (const symbol of checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(types)))) {
  const kind = kindOf(symbol);
  const there = symbol.name in values;
  if (there === (kind === "type")) throw new Error(`${symbol.name} is a ${kind}, and ${there ? "" : "not "}there at run time`);
  found[symbol.name] = kind;
}
for (const name of Object.keys(values)) if (!(name in found)) throw new Error(`${name} has no type`);
console.log(JSON.stringify(found));
