/** The whole style sheet of a report. Colors by meaning, both schemes, then the page from top to bottom, phones, paper. */
export const pageStyle = `
:root{--bg:#f5f6f8;--card:#fff;--text:#191c22;--soft:#596273;--faint:#8a93a3;--line:#e2e5ea;--code:#f1f3f6;--link:#1b5fc1;--shadow:0 1px 2px rgba(16,24,40,.05),0 1px 6px rgba(16,24,40,.04);
--passed:#16804a;--failed:#c62828;--error:#b35309;--cancelled:#667085;--open:#667085;--skipped:#8a93a3;
--passed-bg:#e9f7ef;--failed-bg:#fdeeee;--error-bg:#fdf3e4;--cancelled-bg:#eef0f3;--open-bg:#eef0f3;--tone:var(--open);--tone-bg:var(--open-bg)}
@media (prefers-color-scheme:dark){:root{--bg:#111418;--card:#1a1e24;--text:#e7eaef;--soft:#a3acba;--faint:#788292;--line:#2b313a;--code:#232932;--link:#7eb1ff;--shadow:none;
--passed:#46c583;--failed:#ff7a72;--error:#f5a94a;--cancelled:#a3acba;--open:#a3acba;--skipped:#788292;
--passed-bg:#12281d;--failed-bg:#321a1b;--error-bg:#2f2312;--cancelled-bg:#21262e;--open-bg:#21262e}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-padding-top:1rem}
body{margin:0;background:var(--bg);color:var(--text);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"Noto Sans","DejaVu Sans",sans-serif;overflow-wrap:anywhere}
.passed{--tone:var(--passed);--tone-bg:var(--passed-bg)}.failed{--tone:var(--failed);--tone-bg:var(--failed-bg)}.error{--tone:var(--error);--tone-bg:var(--error-bg)}
.cancelled{--tone:var(--cancelled);--tone-bg:var(--cancelled-bg)}.open{--tone:var(--open);--tone-bg:var(--open-bg)}.skipped{--tone:var(--skipped);--tone-bg:transparent}
.page{max-width:1120px;margin:0 auto;padding:0 24px}
a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}
:focus-visible{outline:2px solid var(--link);outline-offset:2px;border-radius:4px}
p,h1,h2,h3,dl,dd,ul,ol,figure{margin:0;padding:0}ul{list-style:none}
code,pre,ol{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono","DejaVu Sans Mono",monospace;font-size:.867em}
.none,.note,.empty{color:var(--faint)}.aside{color:var(--soft);font-size:.867em}.aside::before{content:"· ";color:var(--faint)}
.icon{width:1.2em;height:1.2em;flex:none}.icon circle{fill:var(--tone)}.icon path{fill:none;stroke:var(--card);stroke-width:2.4;stroke-linecap:round;stroke-linejoin:round}
header{background:var(--tone-bg);border-bottom:1px solid var(--line);border-top:6px solid var(--tone)}
.brand{color:var(--soft);font-size:.867em;padding:18px 0 0}.brand b{color:var(--text);font-weight:650}
.verdict{display:flex;align-items:center;gap:20px;padding:20px 0 28px}
.verdict>.icon{width:72px;height:72px}.verdict>.icon path{stroke-width:2.2}.verdict>div:first-of-type{flex:1;min-width:0}
.word{color:var(--tone);font-size:2.3rem;line-height:1.1;font-weight:750;letter-spacing:-.02em}
h1{font-size:1.25rem;line-height:1.35;font-weight:650;margin-top:6px}.on{color:var(--soft)}.on b{color:var(--text);font-weight:600}
.address{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.867em;margin-left:6px}
.took{text-align:right;flex:none}.took b{display:block;font-size:1.6rem;line-height:1.2;font-weight:650;font-variant-numeric:tabular-nums}.took span{color:var(--soft);font-size:.867em}
main{display:grid;gap:28px;padding-top:28px!important;grid-template-columns:minmax(0,1fr)}
h2{font-size:1.05rem;font-weight:650;margin-bottom:10px}.heading{display:flex;flex-wrap:wrap;align-items:baseline;justify-content:space-between;gap:4px 16px;margin-bottom:10px}.heading h2{margin:0}.heading p{color:var(--soft);font-size:.867em}
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;box-shadow:var(--shadow);padding:18px 20px}.flush{padding:0;overflow:hidden}.empty{padding:14px 20px}.note{font-size:.867em;margin-top:8px}
.chips{display:flex;flex-wrap:wrap;gap:6px;margin-top:8px}.chips li{background:var(--code);border-radius:6px;padding:1px 8px;font-size:.8em;color:var(--soft)}.chips b{color:var(--text);font-weight:600;font-variant-numeric:tabular-nums}
.failure{display:grid;grid-template-columns:minmax(0,1fr);gap:20px;border-left:5px solid var(--tone)}
@media (min-width:760px){.failure:has(.zoom){grid-template-columns:minmax(0,1fr) minmax(0,420px)}}
.failure h2{margin-bottom:6px}.lead{margin-bottom:10px}.second{margin-bottom:8px}.meaning{color:var(--soft);font-size:.933em}
.error-text{margin:0 0 10px;background:var(--tone-bg);color:var(--text);border-radius:8px;padding:12px 14px;white-space:pre-wrap;max-height:20em;overflow:auto;font-size:.9em}
.facts{display:grid;gap:18px 40px;grid-template-columns:minmax(0,1fr)}@media (min-width:860px){.facts{grid-template-columns:minmax(0,1fr) minmax(0,1fr)}}
.facts>dl>div{display:grid;grid-template-columns:96px minmax(0,1fr);gap:12px;padding:3px 0}dt{color:var(--soft)}.facts code{white-space:pre-wrap}.soft{color:var(--soft)}
.phases{display:flex;gap:2px;height:14px;border-radius:7px;overflow:hidden;margin-top:6px}.phases i{flex:0 1 0;min-width:3px}.waiting{background:var(--faint);opacity:.55}.starting{background:var(--link);opacity:.55}.running{background:var(--tone)}
.legend{display:flex;flex-wrap:wrap;gap:4px 18px;margin:10px 0 14px;font-size:.867em;color:var(--soft)}.legend i{display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:6px}.legend b{color:var(--text);font-weight:600;font-variant-numeric:tabular-nums}
.moments{display:grid;grid-template-columns:repeat(3,minmax(0,1fr));gap:12px}.moments dt{font-size:.8em}.moments dd{font-variant-numeric:tabular-nums;color:var(--soft);font-size:.867em}.moments b{color:var(--text);font-weight:600;font-size:1.08rem}
.measures{display:grid;gap:14px;grid-template-columns:repeat(auto-fill,minmax(260px,1fr))}
.measure h3{font-size:.867em;font-weight:600;color:var(--soft)}.figure{font-size:1.5rem;font-weight:650;line-height:1.3;font-variant-numeric:tabular-nums}.figure small{font-size:.8rem;font-weight:400;color:var(--soft)}
.chart{display:block;width:100%;height:44px;margin:8px 0;fill:var(--link);opacity:.75}.measure dl{display:flex;justify-content:space-between;font-size:.867em}.measure dl div{display:flex;gap:6px;white-space:nowrap}.measure dd{font-variant-numeric:tabular-nums}
.tally{display:flex;flex-wrap:wrap;gap:4px 14px;font-size:.867em;color:var(--soft)}.tally li{display:flex;align-items:center;gap:5px}
.steps{width:100%;border-collapse:collapse}.steps th{font-size:.8em;font-weight:600;color:var(--soft);text-align:left;padding:8px 12px;border-bottom:1px solid var(--line);white-space:nowrap}
.steps td{padding:9px 12px;vertical-align:top;border-bottom:1px solid var(--line)}.steps tbody tr:last-child td{border-bottom:0}.steps tr:target{outline:2px solid var(--link);outline-offset:-2px}
.steps .failed td,.steps .error td{background:var(--tone-bg)}
.steps .number{width:44px;white-space:nowrap;text-align:right;color:var(--faint);font-variant-numeric:tabular-nums;padding-right:0}.steps .when{width:210px}.steps .shot{width:137px}
.title{display:flex;gap:10px}.title>div{min-width:0}.title>.icon{margin-top:2px}.title strong{font-weight:550}.outcome,.kind{font-size:.8em;color:var(--soft);margin-left:8px}.outcome{color:var(--tone)}tr.passed .outcome{display:none}
.d1{padding-left:22px}.d2{padding-left:44px}.d3{padding-left:66px}.d4{padding-left:88px}
.message{color:var(--soft);font-size:.933em;white-space:pre-wrap}tr.failed .message,tr.error .message{color:var(--text)}
.details{font-size:.8em;margin-top:4px;color:var(--soft)}.details div{display:flex;gap:8px}.details dd{font-family:ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace}
.steps .when{font-variant-numeric:tabular-nums}.duration{font-weight:550}.clock{display:flex;justify-content:space-between;align-items:baseline}.steps time{color:var(--faint);font-size:.867em}
.bar{display:block;position:relative;height:5px;border-radius:3px;background:var(--code);margin-top:4px}.bar i{position:absolute;top:0;bottom:0;border-radius:3px;background:var(--tone);min-width:3px}
.zoom summary{list-style:none;cursor:zoom-in;display:block}.zoom summary::-webkit-details-marker{display:none}.zoom img{display:block;border-radius:6px;border:1px solid var(--line);background:#000;max-width:100%}.zoom .caption{display:none}
.thumb img{width:112px;height:63px;object-fit:contain}.large img{width:100%;height:auto}
.zoom[open]>summary{position:fixed;inset:0;z-index:9;display:grid;place-items:center;align-content:center;gap:12px;padding:20px;background:rgba(8,10,13,.92);cursor:zoom-out}
.zoom[open] img{width:auto;height:auto;max-width:100%;max-height:calc(100vh - 90px);min-width:min(640px,100%);object-fit:contain;border:0}.zoom[open] .caption{display:block;color:#fff;font-size:.933em;text-align:center;white-space:normal}
.gallery{display:grid;gap:14px;grid-template-columns:repeat(auto-fill,minmax(180px,1fr))}.gallery .zoom:not([open]) img{width:100%;height:auto;aspect-ratio:16/9}.gallery figcaption{font-size:.8em;color:var(--soft);margin-top:4px}
.log>summary{padding:9px 16px;font-size:.867em;color:var(--soft);cursor:pointer}.log[open]>summary{border-bottom:1px solid var(--line)}
.log ol{list-style:none;padding:8px 0;max-height:36em;overflow:auto;font-size:12.5px;line-height:1.55}
.log li{display:flex;gap:14px;padding:0 16px 0 0}.log li::before{content:attr(data-n);flex:none;width:calc((var(--digits,3) + 2)*1ch);text-align:right;color:var(--faint);user-select:none}
.log code{font-size:1em;white-space:pre-wrap;min-width:0}.log .bad{background:var(--failed-bg);box-shadow:inset 3px 0 var(--failed)}.log .warn{background:var(--error-bg);box-shadow:inset 3px 0 var(--error)}
.files li{display:grid;grid-template-columns:minmax(0,1fr) 90px 150px 80px;gap:12px;padding:8px 20px;border-bottom:1px solid var(--line);font-size:.933em}.files li:last-child{border:0}.files span{color:var(--soft);font-size:.9em}.files .size{text-align:right;font-variant-numeric:tabular-nums}
footer{color:var(--faint);font-size:.8em;padding-top:28px!important;padding-bottom:36px!important}
@media (max-width:680px){.address{display:block;margin:2px 0 0}.page{padding:0 14px}.verdict{flex-wrap:wrap;gap:14px;padding:14px 0 18px}.verdict>.icon{width:52px;height:52px}.word{font-size:1.8rem}h1{font-size:1.08rem}
.took{width:100%;text-align:left;display:flex;align-items:baseline;gap:8px}.took b{font-size:1.15rem}main{gap:20px;padding-top:18px!important}.card:not(.flush){padding:14px 15px}
.steps thead{display:none}.steps,.steps tbody,.steps tr,.steps td{display:block}.steps tr{position:relative;padding:10px 14px;border-bottom:1px solid var(--line)}.steps tbody tr:last-child{border:0}.steps .failed,.steps .error{background:var(--tone-bg)}
.steps td,.steps .number,.steps .when,.steps .shot{padding:0;border:0;width:auto;background:none!important}.steps .number{display:none}.steps .when{margin:6px 0 0 28px}.steps .shot{margin:8px 0 0 28px}.steps .shot:empty{display:none}.thumb img{width:168px;height:auto}
.d1{padding-left:12px}.d2{padding-left:24px}.d3,.d4{padding-left:36px}.files li{grid-template-columns:minmax(0,1fr) auto}.files span:not(.size){display:none}.log ol{font-size:11.5px}.log li{gap:8px}}
@media print{:root{--bg:#fff;--card:#fff;--text:#000;--soft:#444;--faint:#666;--line:#ccc;--code:#f3f3f3;--link:#000;--shadow:none;--passed:#116b3d;--failed:#b01f1f;--error:#8f4207;--passed-bg:#fff;--failed-bg:#fbeaea;--error-bg:#fdf3e4;--cancelled-bg:#fff;--open-bg:#fff}
body{font-size:11px;-webkit-print-color-adjust:exact;print-color-adjust:exact}.page{max-width:none;padding:0}.log ol,.error-text{max-height:none;overflow:visible}.log::details-content{content-visibility:visible;display:block}.log>summary{display:none}
.steps tr,.measure,.failure,figure{break-inside:avoid}.zoom[open]>summary{position:static;background:none;padding:0;display:block}.zoom[open] .caption{display:none}h2{break-after:avoid}}
`
