import type { PingHost, RegisterHost } from '@virtualpytest/shared'

/*
 * What real hosts send, as the protocol document of the original product shows it. These bodies are evidence, not a style: they
 * are never adapted to what this server likes.
 */

/** A Linux desktop with a browser; its VNC password sits inside the stream path. */
export const webHost: RegisterHost = {
  host_name: 'web-host-1',
  host_url: 'https://lab.example.org',
  host_api_url: 'http://10.0.0.21:6109',
  host_port: 6109,
  host_ip: 'lab.example.org',
  device_count: 1,
  capabilities: ['av', 'verification', 'desktop', 'web'],
  devices: [
    {
      device_id: 'host',
      device_name: 'web-host-1_Host',
      device_model: 'host_vnc',
      device_ip: null,
      device_port: null,
      ir_type: null,
      device_capabilities: {
        av: 'vnc_stream',
        remote: null,
        desktop: 'bash',
        web: 'playwright',
        power: null,
        ai: null,
        verification: [],
      },
      device_verification_types: {
        image: [
          {
            command: 'waitForImageToAppear',
            label: 'Wait for image',
            verification_type: 'image',
            description: '...',
            params: {
              image_path: {
                type: 'string',
                required: true,
                default: '',
                description: '...',
                placeholder: '...',
              },
              timeout: {
                type: 'number',
                required: false,
                default: 0,
              },
              threshold: {
                type: 'number',
                required: false,
                default: 0.8,
                min: 0.0,
                max: 1.0,
              },
              area: {
                type: 'area',
                required: false,
                default: null,
              },
            },
          },
        ],
        text: [
          {
            command: 'waitForTextToAppear',
            verification_type: 'text',
            params: {
              text: {
                type: 'string',
                required: true,
                default: '',
              },
            },
          },
        ],
        video: [
          {
            command: 'DetectFreeze',
            verification_type: 'video',
            params: {
              freeze_threshold: {
                type: 'number',
                required: false,
                default: 1.0,
              },
            },
          },
        ],
        web: [
          {
            command: 'waitForElementToAppear',
            verification_type: 'web',
            params: {
              search_term: {
                type: 'string',
                required: true,
                default: '',
              },
            },
          },
        ],
      },
      device_action_types: {
        Desktop: [
          {
            id: 'bash_command',
            label: 'Run bash command',
            command: 'execute_bash_command',
            action_type: 'desktop',
            params: {},
            description: '...',
            requiresInput: true,
            inputLabel: 'Bash command',
            inputPlaceholder: 'ls -la',
          },
        ],
        Web: [
          {
            id: 'navigate_to_url',
            label: 'Open URL',
            command: 'navigate_to_url',
            action_type: 'web',
            params: {},
            description: '...',
            requiresInput: true,
            inputLabel: 'URL',
            inputPlaceholder: 'https://example.org',
          },
        ],
      },
      video_stream_path: 'https://lab.example.org/host/vnc/vnc_lite.html?password=...',
      video_capture_path: '/var/www/html/stream/capture1',
    },
  ],
  system_stats: {
    cpu_percent: 7.5,
    memory_percent: 41.2,
    disk_percent: 33.0,
    uptime_seconds: 86400,
    platform: 'Linux',
    architecture: 'x86_64',
    ffmpeg_status: {
      status: 'active',
    },
    monitor_status: {
      status: 'active',
    },
  },
}

/** A Raspberry Pi with an Android phone. */
export const phoneHost: RegisterHost = {
  host_name: 'lab-1',
  host_url: 'http://192.168.1.34:6109',
  host_api_url: 'http://192.168.1.34:6109',
  host_port: 6109,
  host_ip: '192.168.1.34',
  device_count: 1,
  capabilities: ['av', 'remote', 'verification'],
  devices: [
    {
      device_id: 'device1',
      device_name: 'Phone-A',
      device_model: 'android_mobile',
      device_ip: '192.168.1.50',
      device_port: '5555',
      ir_type: null,
      device_capabilities: {
        av: 'hdmi_stream',
        remote: 'android_mobile',
        desktop: null,
        web: null,
        power: null,
        ai: null,
        verification: [],
      },
      device_verification_types: {
        image: [],
        text: [],
        video: [],
        audio: [],
        adb: [
          {
            command: 'waitForElementToAppear',
            verification_type: 'adb',
            params: {
              search_term: {
                type: 'string',
                required: true,
                default: '',
              },
              timeout: {
                type: 'number',
                required: false,
                default: 0.0,
              },
            },
          },
        ],
      },
      device_action_types: {
        Remote: [
          {
            id: 'click_element_by_text',
            label: 'Click element by text',
            command: 'click_element',
            action_type: 'remote',
            params: {
              element_text: '',
            },
            description: '...',
            requiresInput: true,
            inputLabel: 'Element text',
            inputPlaceholder: '...',
            inputParam: 'element_text',
          },
          {
            id: 'press_key_back',
            label: 'Back',
            command: 'press_key',
            action_type: 'remote',
            params: {
              key: 'BACK',
            },
            requiresInput: false,
          },
        ],
      },
      video_stream_path: '/host/stream/capture1',
      video_capture_path: '/var/www/html/stream/capture1',
      video: '/dev/video0',
    },
  ],
  system_stats: {
    cpu_percent: 22.1,
    memory_percent: 54.0,
    disk_percent: 61.3,
    uptime_seconds: 7200,
    platform: 'Linux',
    architecture: 'aarch64',
  },
}

/** A Raspberry Pi with a set-top box, driven by infrared and a smart plug. */
export const boxHost: RegisterHost = {
  host_name: 'lab-2',
  host_url: 'https://lab.example.org/pi2',
  host_api_url: 'http://192.168.1.35:6109',
  host_port: 6109,
  host_ip: 'lab.example.org',
  device_count: 1,
  capabilities: ['av', 'remote', 'power', 'verification'],
  devices: [
    {
      device_id: 'device1',
      device_name: 'STB-box',
      device_model: 'stb',
      device_ip: null,
      device_port: null,
      ir_type: 'eos',
      device_capabilities: {
        av: 'hdmi_stream',
        remote: 'ir_remote',
        desktop: null,
        web: null,
        power: 'tapo',
        ai: null,
        verification: [],
      },
      device_verification_types: {
        image: [],
        text: [],
        video: [],
        audio: [],
      },
      device_action_types: {
        remote: [
          {
            id: 'ir_press_key_ok',
            label: 'OK',
            command: 'press_key',
            action_type: 'remote',
            params: {
              key: 'OK',
            },
            requiresInput: false,
          },
        ],
        power: [
          {
            id: 'power_on',
            label: 'Power on',
            command: 'power_on',
            action_type: 'power',
            params: {},
            requiresInput: false,
          },
        ],
      },
      video_stream_path: '/host/stream/capture1',
      video_capture_path: '/var/www/html/stream/capture1',
      video: '/dev/video2',
    },
  ],
  system_stats: {
    cpu_percent: 15.0,
    memory_percent: 38.2,
    disk_percent: 20.4,
    uptime_seconds: 3600,
    platform: 'Linux',
    architecture: 'aarch64',
  },
}

/** The five-minute ping of the phone host. Real ones hold complete devices; this short form must harm nothing. */
export const phonePing: PingHost = {
  host_name: 'lab-1',
  timestamp: 1753690000.12,
  device_count: 1,
  system_stats: {
    cpu_percent: 20.5,
    memory_percent: 52.0,
    disk_percent: 61.3,
    uptime_seconds: 7500,
    platform: 'Linux',
    architecture: 'aarch64',
    python_version: '3.11.2',
    disk_write_mb_per_sec: 1.2,
    load_average_1m: 0.8,
    load_average_5m: 0.7,
    load_average_15m: 0.6,
    ffmpeg_service_uptime_seconds: 7100,
    monitor_service_uptime_seconds: 7100,
  },
  per_device_metrics: [
    {
      device_id: 'device1',
      device_name: 'Phone-A',
      device_port: '5555',
      device_model: 'android_mobile',
      capture_folder: 'capture1',
      video_device: '/dev/video0',
      disk_usage: '1.2G',
      ffmpeg_status: 'active',
      ffmpeg_last_activity: '2025-07-28T10:00:00',
      ffmpeg_working_uptime_seconds: 3600,
      monitor_status: 'active',
      monitor_last_activity: '2025-07-28T10:00:00',
      monitor_working_uptime_seconds: 3600,
    },
  ],
  devices: [
    {
      device_id: 'device1',
      device_name: 'Phone-A',
      device_model: 'android_mobile',
      has_running_deployment: false,
    },
  ],
}
