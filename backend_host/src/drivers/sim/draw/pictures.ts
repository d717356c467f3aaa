import type { Channel, PictureName } from '../channels.ts'
import { box, type Canvas, circle, linear, radial, round, textSvg } from './canvas.ts'
import { drawKids, drawKitchen, drawMarket, drawMusic, drawSpace, drawWeather } from './pictures-studio.ts'
import { scatter } from './scatter.ts'
import { drawTimeCode } from './time-code.ts'

/**
 * The moving pictures of the channels. `time` is in seconds; the same time draws the same picture, so a frozen
 * box shows exactly the same bytes. Text in a picture belongs to the program and is not listed among the texts.
 */
export type Picture = (canvas: Canvas, channel: Channel, time: number) => void

const full = { x: 0, y: 0, width: 1280, height: 720 }

function drawNews(canvas: Canvas, channel: Channel, time: number): void {
  canvas.shape(box(full, canvas.define('studio', linear('studio', ['#0b1b3f', '#1c4480']))))
  // A map of dots that drifts behind the desk.
  const dots: string[] = []
  for (let i = 0; i < 150; i += 1) {
    const x = (scatter(i) * 1500 + time * 14) % 1500
    dots.push(circle(x - 100, 60 + scatter(i + 400) * 360, 2 + scatter(i + 90) * 4, '#5ea2ff'))
  }
  canvas.shape(`<g opacity="0.35">${dots.join('')}</g>`)
  for (let i = 0; i < 3; i += 1) {
    const lift = 90 + i * 60 + Math.sin(time * 0.7 + i) * 14
    canvas.shape(
      `<path d="M${120 + i * 90} 430 Q640 ${round(lift - 120)} ${1160 - i * 90} 430" fill="none" stroke="#7db7ff" stroke-width="2" opacity="0.4"/>`,
    )
  }
  canvas.shape(circle(1010, 250, 130, canvas.define('globe', radial('globe', '#4f9bff', '#12336f'))))
  for (let i = 0; i < 4; i += 1) {
    const rx = Math.abs(Math.cos(time * 0.5 + (i * Math.PI) / 4)) * 130
    canvas.shape(
      `<ellipse cx="1010" cy="250" rx="${round(rx)}" ry="130" fill="none" stroke="#bfe0ff" stroke-width="1.5" opacity="0.6"/>`,
    )
  }
  // The presenter: head, shoulders, tie; a small movement while speaking.
  const sway = Math.sin(time * 1.7) * 5
  canvas.shape(
    `<g transform="translate(${round(sway)} ${round(Math.sin(time * 3.1) * 2)})">` +
      `<path d="M330 580 Q345 425 470 405 L560 405 Q685 425 700 580 Z" fill="#1b2440"/>` +
      `<path d="M475 402 L515 470 L555 402 Z" fill="#f1f5ff"/><path d="M507 430 L523 430 L531 520 L515 545 L499 520 Z" fill="${channel.color}"/>` +
      `<rect x="488" y="345" width="54" height="70" rx="24" fill="#d99f78"/><ellipse cx="515" cy="300" rx="66" ry="80" fill="#e8b48f"/>` +
      `<path d="M447 300 Q440 205 515 202 Q592 205 583 300 Q575 250 540 240 Q490 250 455 255 Z" fill="#3b2418"/>` +
      `<ellipse cx="490" cy="298" rx="6" ry="7" fill="#2b1a12"/><ellipse cx="540" cy="298" rx="6" ry="7" fill="#2b1a12"/>` +
      `<ellipse cx="515" cy="344" rx="17" ry="${round(4 + Math.abs(Math.sin(time * 7)) * 6)}" fill="#7a2f2a"/></g>`,
  )
  canvas.shape('<path d="M160 560 L1120 560 L1240 720 L40 720 Z" fill="#0e1a36"/>')
  canvas.shape(`<path d="M160 560 L1120 560 L1124 568 L156 568 Z" fill="${channel.color}"/>`)
  canvas.shape(box({ x: 0, y: 640, width: 1280, height: 44 }, '#f4f7ff'))
  const words = 'Port city opens new tram line   •   Scientists count 300 new stars   •   Mild weekend ahead   •   '
  const width = textSvg(0, 0, `${words}${words}`, { size: 24 }).width / 2
  const ticker = textSvg(0, 670, `${words}${words}`, { size: 24, fill: '#0b1b3f' }).svg
  canvas.shape(`<g transform="translate(${round(-((time * 90) % width))} 0)">${ticker}</g>`)
  canvas.shape(box({ x: 0, y: 640, width: 130, height: 44 }, channel.color))
  canvas.shape(textSvg(65, 670, 'LIVE', { size: 24, weight: 'bold', anchor: 'middle' }).svg)
}

function drawSport(canvas: Canvas, channel: Channel, time: number): void {
  canvas.shape(box(full, canvas.define('stand', linear('stand', ['#14213d', '#32436b']))))
  for (let i = 0; i < 110; i += 1) {
    const jump = Math.max(0, Math.sin(time * 3 + scatter(i) * 9)) * 6
    const colors = ['#f2c14e', '#e5484d', '#f4f7ff', '#6aa9ff']
    canvas.shape(circle(scatter(i + 7) * 1280, 40 + scatter(i + 200) * 120 - jump, 6, colors[i % 4] ?? '#fff'))
  }
  canvas.shape(box({ x: 0, y: 172, width: 1280, height: 34 }, '#0b1326'))
  const words = 'VPT LEAGUE  •  WATCH LIVE  •  PLAY FAIR  •  '
  const board = textSvg(0, 197, words.repeat(5), { size: 22, weight: 'bold', fill: channel.color })
  canvas.shape(`<g transform="translate(${round(-((time * 40) % (board.width / 5)))} 0)">${board.svg}</g>`)
  const pan = Math.sin(time * 0.35) * 70
  for (let i = -2; i < 12; i += 1) {
    const left = i * 150 + pan
    const wide = i * 230 - 320 + pan * 1.6
    canvas.shape(
      `<path d="M${round(left)} 206 L${round(left + 150)} 206 L${round(wide + 230)} 720 L${round(wide)} 720 Z" fill="${i % 2 === 0 ? '#2f9e44' : '#37b24d'}"/>`,
    )
  }
  const lines = 'fill="none" stroke="#eaffea" stroke-width="4" opacity="0.85"'
  canvas.shape(
    `<g transform="translate(${round(pan * 1.3)} 0)"><ellipse cx="640" cy="450" rx="190" ry="88" ${lines}/><path d="M640 206 L640 720" ${lines}/></g>`,
  )
  for (let i = 0; i < 12; i += 1) {
    const depth = 0.25 + scatter(i + 31) * 0.7
    const x = 90 + scatter(i + 60) * 1100 + Math.sin(time * (0.5 + scatter(i)) + i) * 90 + pan
    const y = 230 + depth * 400 + Math.cos(time * 0.6 + i * 2) * 22
    const size = 0.6 + depth * 0.7
    const stride = Math.sin(time * 8 + i) * 7
    const shirt = i % 2 === 0 ? channel.color : '#f4f7ff'
    canvas.shape(
      `<g transform="translate(${round(x)} ${round(y)}) scale(${round(size)})"><ellipse cx="4" cy="32" rx="20" ry="6" fill="#0b3d1a" opacity="0.5"/>` +
        `<path d="M-5 12 L${round(-6 + stride)} 32 M5 12 L${round(6 - stride)} 32" stroke="#24324f" stroke-width="6"/>` +
        `<rect x="-11" y="-18" width="22" height="32" rx="8" fill="${shirt}" stroke="#12301c"/><circle cx="0" cy="-27" r="9" fill="#d9a07a"/></g>`,
    )
  }
  const ballX = 640 + Math.sin(time * 0.9) * 430
  const ballY = 480 + Math.cos(time * 1.3) * 120 - Math.abs(Math.sin(time * 2.4)) * 60
  canvas.shape(circle(ballX, ballY, 10, '#fff', 'stroke="#222" stroke-width="2"'))
  const clock = Math.floor(time) % 5400
  const minutes = `${String(Math.floor(clock / 60)).padStart(2, '0')}:${String(clock % 60).padStart(2, '0')}`
  canvas.shape(
    box({ x: 60, y: 40, width: 330, height: 46 }, '#0b1326', 8) + box({ x: 60, y: 40, width: 96, height: 46 }, channel.color, 8),
  )
  canvas.shape(textSvg(108, 71, minutes, { size: 24, weight: 'mono', anchor: 'middle', fill: '#06210f' }).svg)
  canvas.shape(textSvg(272, 71, 'RIV  2 : 1  HAR', { size: 22, weight: 'bold', anchor: 'middle' }).svg)
}

function drawMountains(canvas: Canvas, channel: Channel, time: number): void {
  canvas.shape(box(full, canvas.define('sky', linear('sky', [channel.second, '#f7b267']))))
  const sunX = 640 + Math.cos(time * 0.06 + channel.number) * 380
  const sunY = 260 + Math.sin(time * 0.06 + channel.number) * 70
  canvas.shape(
    circle(sunX, sunY, 190, canvas.define('glow', radial('glow', '#fff1c9', '#f7b26700'))) + circle(sunX, sunY, 58, '#fff3d6'),
  )
  for (let i = 0; i < 5; i += 1) {
    const x = ((scatter(i + channel.number) * 1500 + time * (16 + i * 7)) % 1600) - 160
    const y = 70 + i * 42
    canvas.shape(
      `<g fill="#fff" opacity="0.38"><ellipse cx="${round(x)}" cy="${y}" rx="95" ry="18"/><ellipse cx="${round(x + 38)}" cy="${y - 14}" rx="52" ry="20"/></g>`,
    )
  }
  const shades = ['#5d6d8c', '#42577a', '#2b4363', '#16303f']
  for (const [layer, color] of shades.entries()) {
    const drift = time * (3 + layer * 6)
    let path = `M0 720 L0 ${500}`
    for (let x = 0; x <= 1280; x += 40) {
      const u = (x + drift) / 210
      const ridge = Math.sin(u * 1.3 + layer * 4 + channel.number) * 62 + Math.sin(u * 3.1 + layer) * 26 + Math.sin(u * 6.7) * 9
      path += ` L${x} ${round(390 + layer * 78 - ridge * (1.15 - layer * 0.2))}`
    }
    canvas.shape(`<path d="${path} L1280 720 Z" fill="${color}"/>`)
  }
  for (let i = 0; i < 6; i += 1) {
    const x = ((scatter(i + 50) * 1400 + time * 62) % 1500) - 90
    const y = 150 + i * 24 + Math.sin(time * 2 + i) * 12
    const flap = 8 + Math.sin(time * 9 + i) * 8
    canvas.shape(
      `<path d="M${round(x - 15)} ${round(y - flap)} Q${round(x - 6)} ${round(y)} ${round(x)} ${round(y)} Q${round(x + 6)} ${round(y)} ${round(x + 15)} ${round(y - flap)}" fill="none" stroke="#1d2338" stroke-width="3"/>`,
    )
  }
}

function drawOcean(canvas: Canvas, channel: Channel, time: number): void {
  canvas.shape(box(full, canvas.define('water', linear('water', ['#27b4d6', channel.second]))))
  for (let i = 0; i < 7; i += 1) {
    const x = i * 210 - 60 + Math.sin(time * 0.4 + i) * 60
    canvas.shape(
      `<path d="M${round(x)} 0 L${round(x + 70)} 0 L${round(x - 130)} 720 L${round(x - 320)} 720 Z" fill="#fff" opacity="0.06"/>`,
    )
  }
  canvas.shape('<path d="M0 650 Q200 590 420 640 T860 630 T1280 610 L1280 720 L0 720 Z" fill="#0a2f45"/>')
  for (let i = 0; i < 14; i += 1) {
    const x = 30 + i * 92 + scatter(i) * 40
    const tip = x + Math.sin(time * 1.2 + i) * 24
    const color = ['#1f9e89', '#f0568c', '#f7a440'][i % 3] ?? '#1f9e89'
    canvas.shape(
      `<path d="M${round(x)} 712 Q${round(x - 16)} 640 ${round(tip)} ${round(560 + scatter(i + 9) * 70)}" fill="none" stroke="${color}" stroke-width="12" stroke-linecap="round" opacity="0.85"/>`,
    )
  }
  for (let i = 0; i < 11; i += 1) {
    const toRight = i % 2 === 0
    const travel = (scatter(i + 5) * 1500 + time * (45 + scatter(i) * 60)) % 1560
    const x = toRight ? travel - 140 : 1420 - travel
    const y = 130 + scatter(i + 70) * 400 + Math.sin(time * 1.4 + i) * 16
    const size = (0.7 + scatter(i + 33) * 1.1) * (toRight ? 1 : -1)
    const color = ['#ffb703', '#fb5607', '#ffe66d', '#8ecae6'][i % 4] ?? '#ffb703'
    const tail = Math.sin(time * 8 + i) * 7
    canvas.shape(
      `<g transform="translate(${round(x)} ${round(y)}) scale(${round(size)} ${round(Math.abs(size))})"><path d="M-34 0 L-58 ${round(-20 + tail)} L-58 ${round(20 + tail)} Z" fill="${color}"/>` +
        `<ellipse cx="0" cy="0" rx="40" ry="21" fill="${color}"/><path d="M-6 -20 Q4 0 -6 20 L6 20 Q16 0 6 -20 Z" fill="#fff" opacity="0.75"/><circle cx="25" cy="-5" r="4.5" fill="#10202f"/></g>`,
    )
  }
  for (let i = 0; i < 24; i += 1) {
    const y = 720 - ((scatter(i) * 760 + time * (40 + scatter(i + 3) * 40)) % 760)
    canvas.shape(
      circle(
        scatter(i + 11) * 1280 + Math.sin(time * 2 + i) * 8,
        y,
        3 + scatter(i + 2) * 6,
        'none',
        'stroke="#d9f6ff" stroke-width="2" opacity="0.6"',
      ),
    )
  }
}

function drawCity(canvas: Canvas, channel: Channel, time: number): void {
  canvas.shape(box(full, canvas.define('dusk', linear('dusk', ['#070a1a', channel.second]))))
  for (let i = 0; i < 60; i += 1) {
    const light = 0.25 + Math.abs(Math.sin(time * (0.5 + scatter(i)) + i)) * 0.6
    canvas.shape(
      circle(scatter(i + 3) * 1280, 90 + scatter(i + 140) * 240, 1.4 + scatter(i) * 1.2, '#fff', `opacity="${round(light)}"`),
    )
  }
  const moonX = 300 + ((time * 5) % 700)
  canvas.shape(
    circle(moonX, 210, 130, canvas.define('moonlight', radial('moonlight', `${channel.color}88`, `${channel.color}00`))),
  )
  canvas.shape(circle(moonX, 210, 46, '#f6f1dd') + circle(moonX - 16, 200, 9, '#dcd5b8') + circle(moonX + 14, 222, 6, '#dcd5b8'))
  for (let layer = 0; layer < 2; layer += 1) {
    const windows: string[] = []
    const drift = time * (6 + layer * 12)
    for (let i = 0; i < 15; i += 1) {
      const width = 92
      const x = ((((i * 104 - drift) % 1560) + 1560) % 1560) - 140
      const height = 110 + scatter(i + layer * 40 + channel.number) * (layer === 0 ? 230 : 150)
      const y = 560 - height
      canvas.shape(box({ x, y, width, height: height + 20 }, layer === 0 ? '#141a33' : '#0a0e20'))
      for (let row = 0; row < Math.floor(height / 34); row += 1) {
        for (let column = 0; column < 4; column += 1) {
          const n = i * 90 + row * 4 + column + layer * 1000
          if (scatter(n) < 0.55) continue
          windows.push(`M${round(x + 10 + column * 20)} ${round(y + 12 + row * 32)}h11v15h-11z`)
        }
      }
    }
    canvas.shape(
      `<path d="${windows.join('')}" fill="${layer === 0 ? '#ffd98a' : channel.color}" opacity="${layer === 0 ? 0.55 : 0.8}"/>`,
    )
  }
  canvas.shape(box({ x: 0, y: 556, width: 1280, height: 84 }, '#05070f'))
  for (let i = 0; i < 12; i += 1) {
    const away = i % 2 === 0
    const travel = (scatter(i + 21) * 1400 + time * (170 + scatter(i) * 120)) % 1500
    const x = away ? travel - 100 : 1380 - travel
    const y = away ? 612 : 584
    canvas.shape(
      box({ x, y, width: 54, height: 5 }, away ? '#ff4d5e' : '#fff3c4', 3) +
        box({ x: away ? x - 60 : x + 54, y: y + 1, width: 60, height: 3 }, away ? '#ff4d5e55' : '#fff3c455'),
    )
  }
  canvas.shape(box({ x: 0, y: 0, width: 1280, height: 78 }, '#000') + box({ x: 0, y: 642, width: 1280, height: 78 }, '#000'))
}

function drawTestCard(canvas: Canvas, channel: Channel, time: number): void {
  const bars = ['#c0c0c0', '#c0c000', '#00c0c0', '#00c000', '#c000c0', '#c00000', '#0000c0']
  for (const [i, color] of bars.entries()) canvas.shape(box({ x: (i * 1280) / 7, y: 0, width: 184, height: 480 }, color))
  for (let i = 0; i < 16; i += 1) {
    const level = Math.round((i / 15) * 255)
      .toString(16)
      .padStart(2, '0')
    canvas.shape(box({ x: i * 80, y: 480, width: 81, height: 90 }, `#${level}${level}${level}`))
  }
  canvas.shape(box({ x: 0, y: 570, width: 1280, height: 150 }, '#101418'))
  canvas.shape(circle(640, 320, 230, '#101418', 'stroke="#fff" stroke-width="5"'))
  canvas.shape('<path d="M410 320 H870 M640 90 V550" stroke="#fff" stroke-width="2" opacity="0.5"/>')
  canvas.shape(textSvg(640, 270, 'VPT TEST CARD', { size: 42, weight: 'bold', anchor: 'middle' }).svg)
  const seconds = Math.floor(time) % 86_400
  const frame = Math.floor((time - Math.floor(time)) * 25)
  const parts = [seconds / 3600, (seconds / 60) % 60, seconds % 60, frame].map((part) =>
    String(Math.floor(part)).padStart(2, '0'),
  )
  canvas.shape(textSvg(640, 372, parts.join(':'), { size: 56, weight: 'mono', anchor: 'middle', fill: '#35d6c4' }).svg)
  canvas.shape(
    textSvg(640, 430, `1280 x 720   25 fps   channel ${channel.number}`, { size: 20, anchor: 'middle', fill: '#a9b5d6' }).svg,
  )
  const angle = time * Math.PI * 2
  canvas.shape(
    `<path d="M640 320 L${round(640 + Math.sin(angle) * 214)} ${round(320 - Math.cos(angle) * 214)}" stroke="${channel.color}" stroke-width="4" opacity="0.55"/>`,
  )
  const sweep = (time * 320) % 1280
  canvas.shape(box({ x: sweep, y: 590, width: 60, height: 110 }, '#fff', 4))
  drawTimeCode(canvas, time)
}

const pictures: Record<PictureName, Picture> = {
  news: drawNews,
  sport: drawSport,
  mountains: drawMountains,
  ocean: drawOcean,
  kids: drawKids,
  city: drawCity,
  music: drawMusic,
  kitchen: drawKitchen,
  weather: drawWeather,
  market: drawMarket,
  space: drawSpace,
  testcard: drawTestCard,
}

/** The picture of a channel with its mark in the corner. */
export function drawPicture(canvas: Canvas, channel: Channel, time: number): void {
  pictures[channel.picture](canvas, channel, time)
  canvas.shape(box({ x: 1136, y: 36, width: 92, height: 42 }, channel.color, 10, 'opacity="0.88"'))
  canvas.shape(
    textSvg(1182, 66, channel.ident, { size: 24, weight: 'bold', anchor: 'middle', fill: '#0a0f1e', maxWidth: 84 }).svg,
  )
}
