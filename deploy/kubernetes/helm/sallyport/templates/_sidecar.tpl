{{/*
The sidecar, for `initContainers` of a pod: first, so that what starts after it finds it ready. The context is that of this
chart; in a chart that depends on it, `.Subcharts.sallyport`.
*/}}
{{- define "sallyport.sidecar" -}}
{{ include "sallyport.container" (dict "root" . "of" .Values.sidecar) }}
restartPolicy: Always
ports:
  - name: health
    containerPort: 15091
volumeMounts:
  - name: sallyport-settings
    mountPath: /etc/sallyport
    readOnly: true
  - name: sallyport-secrets
    mountPath: /etc/sallyport/secrets
    readOnly: true
  - name: sallyport-state
    mountPath: /var/lib/sallyport
  - name: sallyport-run
    mountPath: /run/sallyport
  - name: sallyport-ca
    mountPath: /run/sallyport-ca
{{- end -}}

{{/* For `volumes` of the pod. */}}
{{- define "sallyport.volumes" -}}
{{ include "sallyport.volumesOf" (dict "root" . "settings" .Values.sidecar.settings.name "secret" .Values.sidecar.secretName) }}
{{- end -}}

{{/* The same with the ConfigMap `settings` and the Secret `secret`. */}}
{{- define "sallyport.volumesOf" -}}
- name: sallyport-settings
  configMap:
    name: {{ .settings | quote }}
- name: sallyport-secrets
  {{- with .root.Values.sidecar.secretsVolume }}
  {{- toYaml . | nindent 2 }}
  {{- else }}
  secret:
    secretName: {{ $.secret | quote }}
  {{- end }}
- name: sallyport-state
  emptyDir: {}
- name: sallyport-run
  emptyDir:
    medium: Memory
    sizeLimit: 16Mi
- name: sallyport-ca
  emptyDir:
    medium: Memory
    sizeLimit: 16Mi
{{- end -}}

{{/* For `volumeMounts` of each container of the app. */}}
{{- define "sallyport.mounts" -}}
- name: sallyport-ca
  mountPath: /run/sallyport-ca
  readOnly: true
{{- end -}}

{{/* For `env` of each container of the app: what `sallyport env --format kubernetes` prints. */}}
{{- define "sallyport.env" -}}
{{- range list "HTTP_PROXY" "HTTPS_PROXY" "ALL_PROXY" "http_proxy" "https_proxy" "all_proxy" "grpc_proxy" }}
- name: {{ . }}
  value: http://127.0.0.1:15001
{{- end }}
{{- range list "NO_PROXY" "no_proxy" }}
- name: {{ . }}
  value: localhost,127.0.0.1,::1,.svc,.cluster.local,kubernetes.default.svc
{{- end }}
- name: NODE_USE_ENV_PROXY
  value: "1"
{{- end -}}
