"""The report's style sheet: readable at 400 px and on paper, in light and in dark."""

STYLE = """
:root { color-scheme: light dark; --ground: #ffffff; --ink: #1c2430; --muted: #5b6675; --grid: #dde2e8; --accent: #2b6cb0;
  --soft: #a3bfdd; --best: #c2560c; --bad: #c02c2c; --band: #2b6cb033; --band2: #c2560c33; --panel: #f5f7f9; }
@media (prefers-color-scheme: dark) { :root { --ground: #14181e; --ink: #e4e9ef; --muted: #9aa6b4; --grid: #333c47;
  --accent: #74aee8; --soft: #3f5f82; --best: #f09a55; --bad: #f07b7b; --band: #74aee833; --band2: #f09a5533; --panel: #1c222a; } }
@media print { :root { --ground: #ffffff; --ink: #000000; --muted: #444444; --grid: #cccccc; --accent: #2b6cb0; --soft: #a3bfdd;
  --best: #c2560c; --bad: #c02c2c; --panel: #ffffff; color-scheme: light; } nav { display: none; }
  section, figure { break-inside: avoid; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 68rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
header, section { margin-bottom: 2.5rem; } h1 { font-size: 1.7rem; line-height: 1.2; margin: .5rem 0; }
h2 { font-size: 1.25rem; border-bottom: 1px solid var(--grid); padding-bottom: .25rem; } h3 { font-size: 1rem; margin: 0 0 .25rem; }
p, ul { max-width: 46rem; } a { color: var(--accent); } nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; padding: 0; list-style: none; }
.key { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem; margin: 1rem 0; }
.key div { background: var(--panel); border: 1px solid var(--grid); border-radius: .5rem; padding: .6rem .8rem; }
.key dt { color: var(--muted); font-size: .85rem; } .key dd { margin: 0; font-size: 1.25rem; font-weight: 600; }
figure { margin: 1rem 0; max-width: 40rem; } figcaption { color: var(--muted); font-size: .9rem; margin-top: .25rem; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(17rem, 100%), 1fr)); gap: .5rem 1.25rem; }
.panels figure { margin: .25rem 0; }
svg.plot { display: block; width: 100%; height: auto; } svg.plot * { stroke-linejoin: round; } svg.plot text { font-family: inherit; }
.scroll { overflow-x: auto; max-width: 100%; } table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--muted); font-size: .9rem; padding: .25rem 0; }
th, td { text-align: right; padding: .2rem .75rem .2rem 0; border-bottom: 1px solid var(--grid); overflow-wrap: normal; vertical-align: top; }
th:first-child, td.text { text-align: left; } tbody th { font-weight: 400; } thead th { color: var(--muted); font-weight: 600; }
details { margin: .5rem 0; } summary { cursor: pointer; color: var(--muted); font-size: .9rem; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
pre { background: var(--panel); padding: .75rem; overflow-x: auto; font-size: .8rem; line-height: 1.4; } img { max-width: 100%; height: auto; background: #ffffff; }
.doubt { border-left: 4px solid var(--best); padding-left: .75rem; }
"""
