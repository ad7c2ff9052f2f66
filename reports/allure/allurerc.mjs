// The configuration of one report, as it lies beside this file, with words that Allure lacks: of a metric within its
// limit it says "actual [object Object], expected [object Object]". Only a script can hand over a rule of its own.
import { readFileSync, realpathSync } from "node:fs";
import { pathToFileURL } from "node:url";

const command = pathToFileURL(realpathSync(process.argv[1]));
const { qualityGateDefaultRules } = await import(new URL("dist/rules.js", command));
const config = JSON.parse(readFileSync(new URL("wanted.json", import.meta.url), "utf-8"));
const figure = (value, unit) => `${Number(value.toFixed(3))}${unit ? ` ${unit}` : ""}`;
const within = ({ actual: { key, title = key, unit, value }, expected }) =>
  `${title}: ${figure(value, unit)}, at most ${figure(expected.value, unit)} is allowed`;

config.qualityGate.use = qualityGateDefaultRules.map((one) =>
  one.rule === "metricMax" ? { ...one, successMessage: within } : one,
);
export default config;
