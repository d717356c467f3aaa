import type { Channel } from '../channels.ts'
import { box, type Canvas, circle, linear, radial, round, textSvg } from './canvas.ts'
import { scatter } from './scatter.ts'

const full = { x: 0, y: 0, width: 1280, height: 720 }

export function drawKids(canvas: Canvas, channel: Channel, time: number): void {
  canvas.shape(box(full, canvas.define('day', linear('day', ['#6fd3ff', '#d7f5ff']))))
  const rays: string[] = []
  for (let i = 0; i < 12; i += 1) {
    const angle = time * 0.4 + (i * Math.PI) / 6
    rays.push(`M190 170 L${round(190 + Math.cos(angle) * 160)} ${round(170 + Math.sin(angle) * 160)}`)
  }
  canvas.shape(`<path d="${rays.join('')}" stroke="#ffd43b" stroke-width="16" stroke-linecap="round" opacity="0.7"/>`)
  canvas.shape(circle(190, 170, 96, '#ffe066') + circle(160, 155, 9, '#5b3b00') + circle(222, 155, 9, '#5b3b00'))
  canvas.shape('<path d="M150 190 Q190 232 232 190" fill="none" stroke="#5b3b00" stroke-width="8" stroke-linecap="round"/>')
  canvas.shape('<path d="M0 560 Q320 430 640 540 T1280 500 L1280 720 L0 720 Z" fill="#69db7c"/>')
  canvas.shape('<path d="M0 630 Q400 540 760 630 T1280 590 L1280 720 L0 720 Z" fill="#40c057"/>')
  const colors = [channel.color, channel.second, '#ffd43b', '#4dabf7', '#ff8787', '#63e6be']
  for (const [i, color] of colors.entries()) {
    const x = 250 + i * 165 + Math.sin(time + i) * 36
    const bounce = Math.abs(Math.sin(time * 2.1 + i * 0.9))
    const y = 590 - bounce * 290
    const flat = 1 - Math.max(0, 0.2 - bounce) * 1.2
    canvas.shape(
      `<ellipse cx="${round(x)}" cy="668" rx="${round(30 + 26 * (1 - bounce))}" ry="10" fill="#2b8a3e" opacity="0.5"/>`,
    )
    canvas.shape(
      `<g transform="translate(${round(x)} ${round(y)}) scale(${round(2 - flat)} ${round(flat)})"><circle r="58" fill="${color}"/><circle cx="-20" cy="-22" r="15" fill="#fff" opacity="0.55"/>` +
        '<circle cx="-19" cy="-4" r="8" fill="#222"/><circle cx="21" cy="-4" r="8" fill="#222"/><path d="M-18 18 Q2 38 22 18" fill="none" stroke="#222" stroke-width="6" stroke-linecap="round"/></g>',
    )
  }
}

export function drawMusic(canvas: Canvas, channel: Channel, time: number): void {
  canvas.shape(box(full, canvas.define('stage', linear('stage', [channel.second, '#07030f']))))
  for (let i = 0; i < 4; i += 1) {
    const swing = Math.sin(time * 0.9 + i * 1.7) * 260
    const x = 170 + i * 310
    const color = i % 2 === 0 ? channel.color : '#35d6c4'
    canvas.shape(
      `<path d="M${x} -20 L${round(x + swing - 120)} 720 L${round(x + swing + 120)} 720 Z" fill="${color}" opacity="0.16"/>`,
    )
  }
  const beat = Math.abs(Math.sin(time * 3.6))
  canvas.shape(
    circle(640, 300, 250 + beat * 18, canvas.define('halo', radial('halo', `${channel.color}aa`, `${channel.color}00`))),
  )
  canvas.shape(circle(640, 300, 176, '#0b0714', 'stroke="#2b2140" stroke-width="3"'))
  for (let i = 1; i < 7; i += 1) canvas.shape(circle(640, 300, 62 + i * 17, 'none', 'stroke="#332a4d" stroke-width="1.5"'))
  const turn = (time * 120) % 360
  canvas.shape(
    `<g transform="rotate(${round(turn)} 640 300)"><path d="M640 300 L585 140 A176 176 0 0 1 640 124 Z M640 300 L695 460 A176 176 0 0 1 640 476 Z" fill="#fff" opacity="0.1"/>` +
      `<circle cx="640" cy="300" r="58" fill="${channel.color}"/><rect x="600" y="272" width="80" height="8" rx="4" fill="#0b0714"/><rect x="612" y="318" width="56" height="6" rx="3" fill="#0b0714"/></g>`,
  )
  canvas.shape(circle(640, 300, 7, '#f4f7ff'))
  const bars = 40
  for (let i = 0; i < bars; i += 1) {
    const wave = Math.abs(Math.sin(time * (2 + scatter(i) * 3) + i * 0.6)) * (0.35 + scatter(i + 80) * 0.65)
    const height = 14 + wave * 165
    canvas.shape(
      box({ x: 40 + i * 30, y: 690 - height, width: 21, height }, i % 2 === 0 ? channel.color : '#35d6c4', 5, 'opacity="0.9"'),
    )
  }
}

export function drawKitchen(canvas: Canvas, channel: Channel, time: number): void {
  canvas.shape(box(full, canvas.define('wall', linear('wall', ['#ffe8c7', '#f2c48d']))))
  for (let row = 0; row < 6; row += 1) {
    for (let i = 0; i < 14; i += 1) {
      const x = i * 104 - (row % 2) * 52
      canvas.shape(
        box({ x, y: row * 66, width: 98, height: 60 }, '#fff6e6', 5, `opacity="${round(0.4 + scatter(i + row * 14) * 0.45)}"`),
      )
    }
  }
  canvas.shape(
    box({ x: 0, y: 500, width: 1280, height: 220 }, canvas.define('wood', linear('wood', ['#a9683a', channel.second]))),
  )
  canvas.shape(box({ x: 0, y: 494, width: 1280, height: 18 }, '#c98955'))
  const tools = [150, 220, 290]
  canvas.shape(box({ x: 110, y: 96, width: 230, height: 10 }, '#8a5a34', 5))
  for (const [i, x] of tools.entries()) {
    const swing = Math.sin(time * 1.6 + i) * 4
    canvas.shape(
      `<g transform="rotate(${round(swing)} ${x} 104)"><path d="M${x} 104 V200" stroke="#7d8597" stroke-width="9"/><ellipse cx="${x}" cy="222" rx="${22 + i * 4}" ry="30" fill="#8d99ae"/></g>`,
    )
  }
  for (let i = 0; i < 9; i += 1) {
    const rise = (time * 60 + i * 52) % 400
    const x = 640 + (i - 4) * 42 + Math.sin(time * 1.5 + i + rise / 60) * 26
    canvas.shape(circle(x, 330 - rise * 0.8, 22 + rise / 11, '#fff', `opacity="${round(Math.max(0, 0.42 - rise / 950))}"`))
  }
  canvas.shape('<ellipse cx="640" cy="560" rx="270" ry="24" fill="#2b1408" opacity="0.35"/>')
  canvas.shape(
    `<path d="M410 350 H870 L846 530 Q840 556 810 556 H470 Q440 556 434 530 Z" fill="${canvas.define('pot', linear('pot', ['#f25c54', '#a4161a'], 'right'))}"/>`,
  )
  canvas.shape(
    '<path d="M410 392 H350 Q334 392 334 408 V420 H414 M870 392 H930 Q946 392 946 408 V420 H866" fill="none" stroke="#7a1113" stroke-width="16"/>',
  )
  canvas.shape(
    '<ellipse cx="640" cy="350" rx="236" ry="36" fill="#7a1113"/><ellipse cx="640" cy="352" rx="216" ry="28" fill="#f4a259"/>',
  )
  for (let i = 0; i < 9; i += 1) {
    const pop = Math.abs(Math.sin(time * (1.8 + scatter(i)) + i))
    canvas.shape(
      circle(
        470 + i * 42,
        354 + Math.sin(i * 2) * 12,
        4 + pop * 9,
        ['#ffd166', '#7fb069', '#f25c54'][i % 3] ?? '#fff',
        'opacity="0.9"',
      ),
    )
  }
  const stir = Math.sin(time * 2.2) * 70
  canvas.shape(
    `<path d="M${round(640 + stir)} 352 L${round(760 + stir * 0.5)} 120" stroke="#8a5a34" stroke-width="17" stroke-linecap="round"/>`,
  )
  const vegetables: [number, string][] = [
    [1010, '#e63946'],
    [1080, '#f4a261'],
    [1150, '#7fb069'],
  ]
  for (const [x, color] of vegetables) canvas.shape(circle(x, 520, 40, color) + circle(x - 12, 508, 11, '#fff', 'opacity="0.35"'))
}

export function drawWeather(canvas: Canvas, channel: Channel, time: number): void {
  canvas.shape(box(full, canvas.define('sea', linear('sea', [channel.second, '#4aa3df']))))
  canvas.shape(
    '<path d="M250 150 Q330 60 470 110 Q560 70 660 120 Q790 90 880 160 Q1010 190 990 300 Q1060 390 960 470 Q930 580 800 570 Q690 640 590 580 Q450 620 400 520 Q270 500 300 380 Q200 270 250 150 Z" fill="#7cb66a" stroke="#dff2c8" stroke-width="5"/>',
  )
  canvas.shape(
    '<path d="M420 200 Q520 260 500 360 T620 520 M700 140 Q720 260 820 300 T900 460" fill="none" stroke="#5d9a4f" stroke-width="4"/>',
  )
  const cities: [number, number, string, number][] = [
    [400, 230, 'Norham', 11],
    [700, 210, 'Porto Bay', 16],
    [560, 400, 'Riverton', 14],
    [840, 370, 'Eastmere', 18],
    [650, 530, 'Southgate', 19],
  ]
  for (const [i, [x, y, name, degrees]] of cities.entries()) {
    const warmth = degrees + Math.round(Math.sin(time * 0.25 + i))
    canvas.shape(
      circle(x, y, 7, '#12233f') + box({ x: x + 14, y: y - 24, width: 66, height: 46 }, '#ffffff', 10, 'opacity="0.92"'),
    )
    canvas.shape(textSvg(x + 47, y + 8, `${warmth}°`, { size: 26, weight: 'bold', anchor: 'middle', fill: '#12233f' }).svg)
    canvas.shape(textSvg(x, y + 46, name, { size: 19, anchor: 'middle', fill: '#12233f' }).svg)
  }
  for (let i = 0; i < 5; i += 1) {
    const x = ((scatter(i + 4) * 1500 + time * (24 + i * 5)) % 1600) - 160
    const y = 120 + i * 105
    canvas.shape(
      `<g opacity="0.82"><ellipse cx="${round(x)}" cy="${y}" rx="86" ry="28" fill="#eef4fb"/><circle cx="${round(x - 24)}" cy="${y - 20}" r="32" fill="#f8fbff"/><circle cx="${round(x + 26)}" cy="${y - 14}" r="25" fill="#f8fbff"/></g>`,
    )
    for (let drop = 0; i % 2 === 1 && drop < 5; drop += 1) {
      const fall = (time * 70 + drop * 19) % 54
      canvas.shape(
        `<path d="M${round(x - 50 + drop * 25)} ${round(y + 28 + fall)} l-5 15" stroke="#1c5fa8" stroke-width="4" stroke-linecap="round"/>`,
      )
    }
  }
  canvas.shape(box({ x: 60, y: 40, width: 330, height: 62 }, '#0b2447', 12, 'opacity="0.9"'))
  canvas.shape(textSvg(84, 81, 'Tomorrow, noon', { size: 28, weight: 'bold' }).svg)
}

export function drawMarket(canvas: Canvas, channel: Channel, time: number): void {
  canvas.shape(box(full, canvas.define('floor', linear('floor', [channel.second, '#040b16']))))
  for (let i = 1; i < 8; i += 1) canvas.shape(`<path d="M60 ${i * 70} H1220" stroke="#1e3a5f" stroke-width="1.5"/>`)
  const value = (x: number): number => Math.sin(x * 0.011) * 70 + Math.sin(x * 0.031) * 34 + Math.sin(x * 0.083) * 15
  let line = ''
  for (let x = 60; x <= 1080; x += 12) line += `${line === '' ? 'M' : ' L'}${x} ${round(300 - value(x + time * 55))}`
  canvas.shape(
    `<path d="${line} L1080 560 L60 560 Z" fill="${canvas.define('area', linear('area', [`${channel.color}77`, `${channel.color}05`]))}"/>`,
  )
  canvas.shape(`<path d="${line}" fill="none" stroke="${channel.color}" stroke-width="5" stroke-linejoin="round"/>`)
  const tip = 300 - value(1080 + time * 55)
  canvas.shape(circle(1080, tip, 9 + Math.abs(Math.sin(time * 4)) * 6, `${channel.color}66`) + circle(1080, tip, 8, '#fff'))
  const price = (2400 + value(1080 + time * 55) * 3).toFixed(1)
  canvas.shape(box({ x: 1096, y: tip - 22, width: 136, height: 44 }, channel.color, 8))
  canvas.shape(textSvg(1164, tip + 9, price, { size: 24, weight: 'mono', anchor: 'middle', fill: '#04231f' }).svg)
  canvas.shape(textSvg(70, 92, 'VPT 100', { size: 44, weight: 'bold' }).svg)
  canvas.shape(textSvg(300, 92, 'live', { size: 24, fill: channel.color }).svg)
  canvas.shape(box({ x: 0, y: 600, width: 1280, height: 56 }, '#0d2038'))
  const names = ['ALFA', 'BRVO', 'CHRL', 'DLTA', 'ECHO', 'FOXT', 'GOLF', 'HOTL']
  for (const [i, name] of names.entries()) {
    const x = ((((i * 200 - time * 60) % 1600) + 1600) % 1600) - 180
    const up = scatter(i + channel.number) > 0.45
    const change = `${up ? '+' : '-'}${(scatter(i + 8) * 3).toFixed(2)}%`
    canvas.shape(
      textSvg(x, 637, name, { size: 22, weight: 'bold' }).svg +
        textSvg(x + 82, 637, change, { size: 22, fill: up ? '#2dd4bf' : '#ff5d6c' }).svg,
    )
  }
}

export function drawSpace(canvas: Canvas, channel: Channel, time: number): void {
  canvas.shape(box(full, canvas.define('deep', linear('deep', ['#02030b', channel.second], 'diagonal'))))
  for (let i = 0; i < 140; i += 1) {
    const speed = 4 + scatter(i + 6) * 26
    const x = 1280 - ((scatter(i) * 1300 + time * speed) % 1300)
    canvas.shape(
      circle(x, scatter(i + 300) * 720, 0.8 + scatter(i + 9) * 2, '#fff', `opacity="${round(0.35 + scatter(i + 50) * 0.65)}"`),
    )
  }
  canvas.shape(
    `<ellipse cx="330" cy="190" rx="360" ry="150" fill="${canvas.define('nebula', radial('nebula', `${channel.color}66`, `${channel.color}00`))}"/>`,
  )
  canvas.define('disc', '<clipPath id="disc"><circle cx="760" cy="390" r="205"/></clipPath>')
  canvas.shape(circle(760, 390, 260, canvas.define('air', radial('air', `${channel.color}88`, `${channel.color}00`))))
  const bands: string[] = []
  const colors = ['#e9c46a', '#e76f51', '#f4a261', '#c8553d', '#e9c46a', '#f7d6a0']
  for (const [i, color] of colors.entries()) {
    const y = 150 + i * 76
    const wave = Math.sin(time * 0.6 + i) * 10
    bands.push(`<path d="M540 ${y} Q650 ${round(y + 24 + wave)} 760 ${y} T980 ${y} V${y + 110} H540 Z" fill="${color}"/>`)
  }
  const spot = ((time * 34) % 560) + 480
  canvas.shape(
    `<g clip-path="url(#disc)"><rect x="540" y="180" width="440" height="420" fill="#f7d6a0"/>${bands.join('')}<ellipse cx="${round(spot)}" cy="450" rx="54" ry="26" fill="#9c3d2a"/>`,
  )
  canvas.shape(
    `<rect x="540" y="180" width="440" height="420" fill="${canvas.define('night', '<linearGradient id="night"><stop offset="0.25" stop-color="#000" stop-opacity="0"/><stop offset="1" stop-color="#000" stop-opacity="0.8"/></linearGradient>')}"/></g>`,
  )
  canvas.shape(
    '<g transform="rotate(-14 760 390)"><path d="M440 390 A320 62 0 0 0 1080 390 A320 40 0 0 1 440 390 Z" fill="#f3dfb5" opacity="0.75"/></g>',
  )
  const angle = time * 0.5
  canvas.shape(
    circle(760 + Math.cos(angle) * 400, 390 + Math.sin(angle) * 150, 26, '#cfd6e6') +
      circle(752 + Math.cos(angle) * 400, 384 + Math.sin(angle) * 150, 6, '#a5aec4'),
  )
}
