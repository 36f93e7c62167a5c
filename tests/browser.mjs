// Chromium, driven line by line: a command as JSON on standard input, its answer as JSON on standard output. `browser.py` is the
// other end.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import axe from 'axe-core';
import puppeteer from 'puppeteer-core';

const profile = await mkdtemp(join(tmpdir(), 'plixo-browser-'));
const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  userDataDir: profile,
  timeout: 180_000,
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--no-first-run', '--hide-scrollbars'],
});

let context;
let page;
let status = 0;
// What the browser complains about: the content security policy, missing files.
let complaints = [];

async function start({ width = 1280, scheme = 'light' }) {
  await context?.close();
  context = await browser.createBrowserContext();
  page = await context.newPage();
  page.setDefaultTimeout(120_000);
  complaints = [];
  await page.setViewport({ width, height: width < 600 ? 740 : 900 });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }, { name: 'prefers-reduced-motion', value: 'reduce' }]);
  page.on('console', (message) => {
    // An answer of 4xx is what a test may be about; its own page says what it is.
    const isOwn = message.text().startsWith('Failed to load resource') && message.location().url === page.url();
    if (['error', 'warn'].includes(message.type()) && !isOwn) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('response', (response) => {
    if (response.request().isNavigationRequest()) status = response.status();
  });
}

// Does what leads to another page, or to the same one again.
async function leading(act) {
  await Promise.all([page.waitForNavigation(), act()]);
  return look();
}

async function look() {
  const shown = await page.evaluate(async () => {
    const frame = () => new Promise((shown) => { requestAnimationFrame(shown); });
    // What has the focus from the beginning gets it with the first frames.
    if (document.querySelector('[autofocus]')) for (let frames = 0; frames < 3; frames += 1) await frame();
    const active = document.activeElement;
    return {
      focus: active.getAttribute('aria-label') ?? active.getAttribute('name') ?? active.innerText.trim().replace(/\s+/g, ' '),
      url: location.href,
      title: document.title,
      text: document.body.innerText,
      errors: [...document.querySelectorAll('.error')].map((one) => one.innerText),
      links: [...document.querySelectorAll('a[href]')].map((one) => one.getAttribute('href')),
      buttons: [...document.querySelectorAll('button, a.button')].map((one) => one.innerText.trim()),
    };
  });
  return { status, complaints, ...shown };
}

// The button, link or summary of that name which can be seen.
async function named(name) {
  for (const found of await page.$$('button, a, summary')) {
    const own = await found.evaluate((one) => one.getAttribute('aria-label') ?? one.innerText.trim().replace(/\s+/g, ' '));
    if (own === name && (await found.isVisible())) return found;
  }
  throw new Error(`there is no ${name} on ${page.url()}`);
}

const commands = {
  start,
  look,
  goto: async ({ url }) => {
    await page.goto(url);
    return look();
  },
  reload: () => leading(() => page.reload()),
  // Into the field of that name.
  fill: async ({ name, value }) => {
    const field = await page.$(`[name="${name}"]`);
    const kind = await field.evaluate((one) => (one.tagName === 'SELECT' ? 'select' : one.type));
    if (kind === 'file') return field.uploadFile(value);
    if (kind === 'select') return page.select(`[name="${name}"]`, value);
    if (kind === 'radio' || kind === 'checkbox') return (await page.$(`[name="${name}"][value="${value}"]`)).click();
    if (kind === 'date') return field.evaluate((one, day) => { one.value = day; }, value);
    await field.evaluate((one) => { one.value = ''; });
    await field.type(value);
  },
  value: ({ name }) => page.$eval(`[name="${name}"]`, (one) => one.value),
  html: ({ selector }) => page.$eval(selector, (one) => one.outerHTML),
  // Opens a question, a menu, what folds: no other page.
  open: async ({ name }) => { await (await named(name)).click(); },
  press: async ({ name }) => {
    const found = await named(name);
    return leading(() => found.click());
  },
  // Keys of the keyboard, `Shift+Tab` among them, that lead to no other page.
  keys: async ({ keys }) => {
    for (const key of keys) {
      const held = key.split('+').slice(0, -1);
      for (const one of held) await page.keyboard.down(one);
      await page.keyboard.press(key.split('+').at(-1));
      for (const one of held) await page.keyboard.up(one);
    }
    return look();
  },
  type: async ({ text }) => { await page.keyboard.type(text); },
  enter: () => leading(() => page.keyboard.press('Enter')),
  cookies: () => context.cookies(),
  forget: async ({ name }) => {
    await context.deleteCookie(...(await context.cookies()).filter((one) => one.name === name));
  },
  axe: async () => {
    await page.evaluate(axe.source);
    const { violations } = await page.evaluate(() => globalThis.axe.run({ rules: { 'target-size': { enabled: true } } }));
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 160)).join(' | ')}`);
  },
  shot: async ({ path }) => { await page.screenshot({ path, fullPage: true }); },
};

try {
  for await (const line of createInterface({ input: process.stdin })) {
    const { command, ...details } = JSON.parse(line);
    let answer;
    try {
      answer = { done: (await commands[command](details)) ?? null };
    } catch (error) {
      answer = { failed: `${command}: ${error.message}` };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
} finally {
  await browser.close();
  await rm(profile, { recursive: true, force: true });
}
